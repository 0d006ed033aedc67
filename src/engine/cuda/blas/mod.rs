//! Products of matrices by NVIDIA's cuBLASLt, on one card. Knows no operation and no plan.
//!
//! Which algorithm the library takes is asked for one picture, and all pictures of a batch get that one: another would add up in
//! another order, and a picture must not depend on its batch.
//!
//! Unsafe for the library's calls, which take handles and addresses: handles are this file's own, addresses are those of
//! whoever has the memory.
#![allow(unsafe_code)]

mod library;

use super::{
    driver::{Fault, Matmul, MatmulAt},
    element::Element,
};
use cudarc::cublaslt::sys;
use library::{Found, Functions, Status};
use std::{cell::RefCell, collections::HashMap, ffi::c_void, mem::size_of, ptr};

/// Working memory that an algorithm may want, as NVIDIA recommends for the cards that want most (sm_90).
const WORKSPACE: u64 = 32 << 20;
const DONE: Status = sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS as Status;
/// `cublasOperation_t`: an operand is read by rows instead of by columns.
const TRANSPOSED: i32 = 1;
/// Operands begin at multiples of so many bytes.
const ALIGN: u32 = 16;

/// The library, on one card.
#[derive(Debug)]
pub(super) struct Blas {
    functions: &'static Functions,
    handle: sys::cublasLtHandle_t,
    /// What was chosen for a product of one picture; nothing where the library cannot do it.
    chosen: RefCell<HashMap<Matmul, Option<Chosen>>>,
}

/// How one picture's product is done.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    algorithm: sys::cublasLtMatmulAlgo_t,
    /// Bytes.
    workspace: u64,
}

/// A descriptor of the library, which ends with this.
struct Kept<T> {
    at: *mut T,
    end: unsafe extern "C" fn(*mut T) -> Status,
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        // SAFETY: the descriptor was given to its owner alone, and this is its end.
        let _ = unsafe { (self.end)(self.at) };
    }
}

/// A product as the library has it told. Its matrices are by columns: what lies by rows here is the same memory transposed, so the
/// product is `dstᵀ = weight xᵀ`, of which the library transposes the first.
struct Described {
    operation: Kept<sys::cublasLtMatmulDescOpaque_t>,
    weight: Kept<sys::cublasLtMatrixLayoutOpaque_t>,
    x: Kept<sys::cublasLtMatrixLayoutOpaque_t>,
    dst: Kept<sys::cublasLtMatrixLayoutOpaque_t>,
}

/// Nothing, or what is wrong.
fn sure(f: &Functions, status: Status) -> Result<(), Fault> {
    const FULL: Status = sys::cublasStatus_t::CUBLAS_STATUS_ALLOC_FAILED as Status;
    match status {
        DONE => Ok(()),
        FULL => Err(Fault::Full),
        other => Err(Fault::Other(format!("cuBLASLt says: {}", library::words(f, other)))),
    }
}

fn data_type(element: Element) -> sys::cudaDataType_t {
    match element {
        Element::F32 => sys::cudaDataType_t::CUDA_R_32F,
        Element::F16 => sys::cudaDataType_t::CUDA_R_16F,
        Element::Bf16 => sys::cudaDataType_t::CUDA_R_16BF,
    }
}

/// An attribute's value as the library reads it.
fn value<T>(of: &T) -> (*const c_void, usize) {
    (ptr::from_ref(of).cast(), size_of::<T>())
}

impl Blas {
    /// The library for the card whose context is current, and for its driver's version, as drivers count.
    ///
    /// # Errors
    /// Why it is not used and what to do, in words: a card computes without it too.
    pub(super) fn open(driver: i32) -> Result<Blas, String> {
        let functions = library::found(driver)?;
        let mut handle = ptr::null_mut();
        // SAFETY: writes the handle.
        let status = unsafe { (functions.create)(&raw mut handle) };
        if status != DONE {
            return Err(format!("{} cannot be used: {}", library::name(functions), library::words(functions, status)));
        }
        Ok(Blas { functions, handle, chosen: RefCell::default() })
    }

    /// "cuBLASLt 13.1"
    pub(super) fn name(&self) -> String {
        library::name(self.functions)
    }

    /// Bytes of working memory for a product, or nothing where the library cannot do it.
    pub(super) fn scratch(&self, of: &Matmul) -> Option<u64> {
        let one = self.chosen(of)?;
        Some(self.for_all(of, &one).map_or(one.workspace, |all| all.workspace))
    }

    /// Sends a product on a stream. All its addresses are the card's.
    pub(super) fn multiply(&self, of: &Matmul, at: &MatmulAt, stream: *mut c_void) -> Result<(), Fault> {
        let one = self.chosen(of).ok_or_else(|| Fault::Other("cuBLASLt has nothing for this product".to_owned()))?;
        if let Some(all) = self.for_all(of, &one) {
            return self.send(of, of.pictures, at, &all, stream);
        }
        for n in 0..of.pictures {
            self.send(of, 1, &at.picture(of, n), &one, stream)?;
        }
        Ok(())
    }

    /// The library's choice for one picture.
    fn chosen(&self, of: &Matmul) -> Option<Chosen> {
        let one = Matmul { pictures: 1, ..*of };
        // What cannot be asked is done by kernels; whatever is wrong with the card, they will tell.
        *self.chosen.borrow_mut().entry(one).or_insert_with(|| self.choose(&one).ok().flatten())
    }

    fn choose(&self, of: &Matmul) -> Result<Option<Chosen>, Fault> {
        use sys::cublasLtMatmulPreferenceAttributes_t as Attribute;
        let f = self.functions;
        let described = self.described(of, 1)?;
        // Any address of that kind: the choice may depend on how biases lie.
        described.bias(f, of, 256)?;
        // SAFETY: writes the descriptor.
        let preference = kept(f, |at| unsafe { (f.preference)(at) }, f.end_preference)?;
        let set = |attribute, (value, size): (*const c_void, usize)| {
            // SAFETY: the descriptor is alive, and the value is read before the call returns.
            sure(f, unsafe { (f.set_preference)(preference.at, attribute, value, size) })
        };
        set(Attribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, value(&WORKSPACE))?;
        // Parts of sums are added up in f32 and in an order of their own, if there are parts.
        let reduction = sys::cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE as u32;
        set(Attribute::CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, value(&reduction))?;
        for operand in [
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
        ] {
            set(operand, value(&ALIGN))?;
        }
        let (mut result, mut count) = (Found::new(), 0);
        let Described { operation, weight, x, dst } = &described;
        // SAFETY: the descriptors are alive; room for one result.
        let status = unsafe {
            (f.heuristic)(
                self.handle,
                operation.at,
                weight.at,
                x.at,
                dst.at,
                dst.at,
                preference.at,
                1,
                &raw mut result,
                &raw mut count,
            )
        };
        let possible = status == DONE && count > 0;
        Ok(Chosen::of(&result).filter(|_| possible))
    }

    /// The algorithm that was chosen for one picture, for all of them by one call; nothing where it cannot do that.
    fn for_all(&self, of: &Matmul, one: &Chosen) -> Option<Chosen> {
        if of.pictures == 1 {
            return Some(*one);
        }
        let described = self.described(of, of.pictures).ok()?;
        described.bias(self.functions, of, 256).ok()?;
        let mut result = Found::new();
        let Described { operation, weight, x, dst } = &described;
        // SAFETY: the descriptors are alive; room for one result.
        let status = unsafe {
            (self.functions.check)(
                self.handle,
                operation.at,
                weight.at,
                x.at,
                dst.at,
                dst.at,
                &raw const one.algorithm,
                &raw mut result,
            )
        };
        let possible = status == DONE;
        Chosen::of(&result).filter(|_| possible).map(|all| Chosen { algorithm: one.algorithm, ..all })
    }

    fn described(&self, of: &Matmul, pictures: usize) -> Result<Described, Fault> {
        use sys::{cublasLtEpilogue_t as Epilogue, cublasLtMatmulDescAttributes_t as Attribute};
        let f = self.functions;
        let (sums, scale) = (sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, sys::cudaDataType_t::CUDA_R_32F);
        // SAFETY: writes the descriptor.
        let operation = kept(f, |at| unsafe { (f.operation)(at, sums, scale) }, f.end_operation)?;
        let set = |attribute, (value, size): (*const c_void, usize)| {
            // SAFETY: the descriptor is alive, and the value is read before the call returns.
            sure(f, unsafe { (f.set_operation)(operation.at, attribute, value, size) })
        };
        set(Attribute::CUBLASLT_MATMUL_DESC_TRANSA, value(&TRANSPOSED))?;
        let epilogue = if of.bias { Epilogue::CUBLASLT_EPILOGUE_BIAS } else { Epilogue::CUBLASLT_EPILOGUE_DEFAULT };
        set(Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, value(&(epilogue as u32)))?;
        let weight = self.layout(of.element, of.depth, of.cols, pictures, 0)?;
        let x = self.layout(of.element, of.depth, of.rows, pictures, of.rows * of.depth)?;
        let dst = self.layout(of.dst, of.cols, of.rows, pictures, of.rows * of.cols)?;
        Ok(Described { operation, weight, x, dst })
    }

    /// A matrix by columns of `height` elements, for each picture one, `apart` elements after the one before.
    fn layout(
        &self,
        element: Element,
        height: usize,
        width: usize,
        pictures: usize,
        apart: usize,
    ) -> Result<Kept<sys::cublasLtMatrixLayoutOpaque_t>, Fault> {
        use sys::cublasLtMatrixLayoutAttribute_t as Attribute;
        let f = self.functions;
        let (kind, height, width) = (data_type(element), height as u64, width as u64);
        // SAFETY: writes the descriptor.
        let layout = kept(f, |at| unsafe { (f.layout)(at, kind, height, width, height as i64) }, f.end_layout)?;
        let set = |attribute, (value, size): (*const c_void, usize)| {
            // SAFETY: the descriptor is alive, and the value is read before the call returns.
            sure(f, unsafe { (f.set_layout)(layout.at, attribute, value, size) })
        };
        let count = i32::try_from(pictures).expect("a batch is small");
        set(Attribute::CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, value(&count))?;
        set(Attribute::CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, value(&(apart as i64)))?;
        Ok(layout)
    }

    fn send(&self, of: &Matmul, pictures: usize, at: &MatmulAt, how: &Chosen, stream: *mut c_void) -> Result<(), Fault> {
        let described = self.described(of, pictures)?;
        described.bias(self.functions, of, at.bias)?;
        let Described { operation, weight, x, dst } = &described;
        let (alpha, beta) = (1f32, if of.residual { 1f32 } else { 0f32 });
        let c = if of.residual { at.residual } else { at.dst };
        // SAFETY: the descriptors are alive, and say how far the operands reach, all of them memory of the card by `Matmul`; the
        // factors are read before the call returns.
        sure(self.functions, unsafe {
            (self.functions.multiply)(
                self.handle,
                operation.at,
                value(&alpha).0,
                address(at.weight),
                weight.at,
                address(at.x),
                x.at,
                value(&beta).0,
                address(c),
                dst.at,
                address(at.dst).cast_mut(),
                dst.at,
                &raw const how.algorithm,
                address(at.scratch).cast_mut(),
                usize::try_from(how.workspace).unwrap_or(usize::MAX),
                stream.cast(),
            )
        })
    }
}

impl Drop for Blas {
    fn drop(&mut self) {
        // SAFETY: the handle is this one's own, and this is its end.
        let _ = unsafe { (self.functions.destroy)(self.handle) };
    }
}

impl Described {
    fn bias(&self, f: &Functions, of: &Matmul, at: u64) -> Result<(), Fault> {
        if !of.bias {
            return Ok(());
        }
        let attribute = sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_BIAS_POINTER;
        let (value, size) = value(&at);
        // SAFETY: the descriptor is alive, and the address is read before the call returns.
        sure(f, unsafe { (f.set_operation)(self.operation.at, attribute, value, size) })
    }
}

impl Chosen {
    fn of(result: &Found) -> Option<Chosen> {
        let fits = result.state == DONE && result.workspace as u64 <= WORKSPACE;
        fits.then_some(Chosen { algorithm: result.algorithm, workspace: result.workspace as u64 })
    }
}

/// A new descriptor.
fn kept<T>(
    f: &Functions,
    make: impl FnOnce(*mut *mut T) -> Status,
    end: unsafe extern "C" fn(*mut T) -> Status,
) -> Result<Kept<T>, Fault> {
    let mut at = ptr::null_mut();
    sure(f, make(&raw mut at))?;
    Ok(Kept { at, end })
}

/// Memory of the card, which no code of the host reads.
fn address(at: u64) -> *const c_void {
    ptr::without_provenance(at as usize)
}
