//! NVIDIA's driver, loaded when it is asked for, as a [`Driver`]. Knows no operation.
//!
//! Unsafe for the driver's calls, which take handles and addresses: all handles are this file's own, and addresses are
//! those that [`Driver::allocate`] gave.
#![allow(unsafe_code)]

use super::{
    blas::Blas,
    driver::{Driver, Fault, Graph, Launch, Mark, Matmul, MatmulAt, Memory, THREADS},
    images::{self, Capability, IMAGES, OLDEST_DRIVER},
};
use cudarc::driver::{
    DriverError,
    result::{self, ctx, device, event, graph, module, primary_ctx, stream},
    sys,
};
use std::{cell::OnceCell, collections::HashMap, ffi::CString};

/// The first drivers of CUDA's major versions, as NVIDIA tells of compatibility within them.
const FIRST_DRIVERS: [(i32, &str); 2] = [(12_000, "525"), (13_000, "580")];

/// A card of this machine.
#[derive(Debug)]
pub struct Card {
    name: String,
    device: sys::CUdevice,
    context: sys::CUcontext,
    stream: sys::CUstream,
    module: sys::CUmodule,
    kernels: HashMap<String, sys::CUfunction>,
    graphs: HashMap<u32, sys::CUgraphExec>,
    marks: HashMap<u32, sys::CUevent>,
    made: u32,
    /// Opened when it is first asked for: not everybody who has a card needs it.
    library: OnceCell<Result<Blas, String>>,
}

// SAFETY: the driver takes its handles from any thread on which the context is current, which every method sees to; it
// takes them from one thread at a time, since whoever has the card has it alone or borrows it for reading on one thread.
unsafe impl Send for Card {}

impl From<DriverError> for Fault {
    fn from(error: DriverError) -> Fault {
        match error.0 {
            sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => Fault::Full,
            // Of a card in exclusive mode (cuDevicePrimaryCtxRetain).
            sys::CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE => Fault::InUse,
            other => {
                let words = error.error_string().ok().map(|words| words.to_string_lossy().into_owned());
                Fault::Other(words.unwrap_or_else(|| format!("{other:?}")))
            }
        }
    }
}

/// Card `number` by its place on the PCI bus. The driver itself counts the fastest first, unless its environment says otherwise.
fn on_bus(number: u32) -> Result<sys::CUdevice, Fault> {
    use sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_PCI_BUS_ID as BUS, CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID as SLOT,
        CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID as DOMAIN,
    };
    let mut cards = Vec::new();
    for ordinal in 0..device::get_count()? {
        let card = device::get(ordinal)?;
        let mut place = [0; 3];
        for (at, which) in place.iter_mut().zip([DOMAIN, BUS, SLOT]) {
            // SAFETY: the device was just given.
            *at = unsafe { device::get_attribute(card, which) }?;
        }
        cards.push((place, card));
    }
    cards.sort_by_key(|(place, _)| *place);
    let found = usize::try_from(number).ok().and_then(|number| cards.get(number));
    found.map(|(_, card)| *card).ok_or_else(|| Fault::Other(format!("there is no GPU {number}; there are {}", cards.len())))
}

/// Gives the driver the kernels for this card. A build without any asks it all the same: the driver that tests play has its own,
/// and NVIDIA's refuses.
fn load(device: sys::CUdevice) -> Result<sys::CUmodule, Fault> {
    let image = image(capability(device)?)?;
    // SAFETY: the image is whole, tells its own end, and is copied by the call.
    let loaded = unsafe { module::load_data(image.as_ptr().cast()) };
    loaded.map_err(|error| match Fault::from(error) {
        Fault::Other(_) if IMAGES.is_empty() => {
            Fault::Other("this build has no kernels for GPUs, because their compiler was not there".to_owned())
        }
        fault => fault,
    })
}

fn capability(device: sys::CUdevice) -> Result<Capability, Fault> {
    use sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    // SAFETY: the device is one that the driver gave.
    let part = |which| unsafe { device::get_attribute(device, which) }.map(|part| u32::try_from(part).unwrap_or(0));
    Ok((part(MAJOR)?, part(MINOR)?))
}

/// The kernels for a card.
fn image(card: Capability) -> Result<Vec<u64>, Fault> {
    if IMAGES.is_empty() {
        // An empty text, which is no image.
        return Ok(vec![0]);
    }
    let suitable = images::suitable(IMAGES, card).ok_or_else(|| {
        let (major, minor) = card;
        Fault::Other(format!("the GPU has compute capability {major}.{minor}, and this program has only {}", images::in_words()))
    })?;
    suitable.unpack().map_err(Fault::Other)
}

/// The version of CUDA that the driver is made for, as drivers count: 12080 for 12.8.
fn version() -> Result<i32, Fault> {
    let mut version = 0;
    // SAFETY: writes the one number.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result()?;
    Ok(version)
}

/// What is wrong with a driver of this version, in words.
fn too_old(version: i32) -> Option<String> {
    let first = FIRST_DRIVERS.iter().find(|(first, _)| *first == OLDEST_DRIVER);
    let called = first.map(|(_, name)| format!(" (driver {name})")).unwrap_or_default();
    (version < OLDEST_DRIVER).then(|| {
        format!(
            "the NVIDIA driver is made for CUDA {}, and {} is needed{called}",
            images::cuda(version),
            images::cuda(OLDEST_DRIVER)
        )
    })
}

impl Card {
    /// Whether there is a driver that can be asked.
    pub fn has_driver() -> bool {
        // SAFETY: loading NVIDIA's library runs its constructors, which every program that uses a card does.
        unsafe { sys::is_culib_present() }
    }

    /// Card `number` of this machine, from 0 in the order of the PCI bus, as NVIDIA's management library counts.
    ///
    /// # Errors
    /// Where there is no driver, no such card, a driver too old for the kernels, or no kernels in this build.
    pub fn open(number: u32) -> Result<Card, Fault> {
        if !Card::has_driver() {
            return Err(Fault::Other("there is no NVIDIA driver".to_owned()));
        }
        result::init()?;
        if let Some(why) = too_old(version()?) {
            return Err(Fault::Other(why));
        }
        let device = on_bus(number)?;
        // SAFETY: the device was just given.
        let context = unsafe { primary_ctx::retain(device) }?;
        Card::within(device, context).inspect_err(|_| {
            // An engine that goes on without the card must hold none of its memory.
            // SAFETY: the context was retained here, and nobody else has it from here.
            let _ = unsafe { primary_ctx::release(device) };
        })
    }

    /// The card whose context this is.
    fn within(device: sys::CUdevice, context: sys::CUcontext) -> Result<Card, Fault> {
        let name = device::get_name(device)?;
        // SAFETY: the context is retained by whoever calls.
        unsafe { ctx::set_current(context) }?;
        // Before the stream: where there are no kernels, nothing is left but the context.
        let module = load(device)?;
        let stream = stream::create(stream::StreamKind::NonBlocking)?;
        let (kernels, graphs, marks) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Card { name, device, context, stream, module, kernels, graphs, marks, made: 0, library: OnceCell::new() })
    }

    /// The same card, whose library is left alone because of `why`.
    #[must_use]
    pub fn without_library(mut self, why: &str) -> Card {
        self.library = OnceCell::from(Err(why.to_owned()));
        self
    }

    fn blas(&self) -> Result<&Blas, String> {
        self.enter().map_err(|fault| fault.to_string())?;
        let open = || Blas::open(version().map_err(|fault| fault.to_string())?);
        self.library.get_or_init(open).as_ref().map_err(Clone::clone)
    }

    /// Makes the card's context this thread's.
    fn enter(&self) -> Result<(), Fault> {
        // SAFETY: the context is retained as long as the card.
        Ok(unsafe { ctx::set_current(self.context) }?)
    }

    fn next(&mut self) -> u32 {
        self.made = self.made.wrapping_add(1);
        self.made
    }

    fn kernel(&mut self, name: String) -> Result<sys::CUfunction, Fault> {
        if let Some(found) = self.kernels.get(&name) {
            return Ok(*found);
        }
        let called = CString::new(name.clone()).map_err(|_| Fault::Other(format!("{name:?} is no name")))?;
        // SAFETY: the module is loaded as long as the card.
        let found = unsafe { module::get_function(self.module, called) }?;
        self.kernels.insert(name, found);
        Ok(found)
    }
}

impl Driver for Card {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn memory(&self) -> Result<Memory, Fault> {
        self.enter()?;
        let (free, total) = result::mem_get_info()?;
        Ok(Memory { free: free as u64, total: total as u64 })
    }

    fn allocate(&mut self, bytes: u64) -> Result<u64, Fault> {
        self.enter()?;
        let bytes = usize::try_from(bytes).map_err(|_| Fault::Full)?;
        // SAFETY: the context is current; nobody reads the memory before it is cleared or written.
        Ok(unsafe { result::malloc_sync(bytes) }?)
    }

    fn free(&mut self, address: u64) {
        // A lost card has no memory to give back.
        if self.enter().is_ok() {
            // SAFETY: the address is one that `allocate` gave, and the call waits for what still uses it.
            let _ = unsafe { result::free_sync(address) };
        }
    }

    fn clear(&mut self, address: u64, bytes: u64) -> Result<(), Fault> {
        self.enter()?;
        let bytes = usize::try_from(bytes).map_err(|_| Fault::Full)?;
        // SAFETY: the bytes lie in memory that `allocate` gave.
        Ok(unsafe { result::memset_d8_async(address, 0, bytes, self.stream) }?)
    }

    fn upload(&mut self, to: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.enter()?;
        // SAFETY: the bytes' place was allocated. Memory that is not pinned is read before the call returns.
        Ok(unsafe { result::memcpy_htod_async(to, bytes, self.stream) }?)
    }

    fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        self.enter()?;
        // SAFETY: the bytes' place was allocated, and `bytes` outlives the copy, which is waited for whether well or not.
        let copied = unsafe { result::memcpy_dtoh_async(bytes, from, self.stream) };
        // SAFETY: the stream is the card's own.
        unsafe { stream::synchronize(self.stream) }?;
        Ok(copied?)
    }

    fn launch(&mut self, launch: &Launch) -> Result<(), Fault> {
        self.enter()?;
        let kernel = self.kernel(launch.entry())?;
        let mut args = launch.args.clone();
        let (across, down) = launch.blocks;
        // SAFETY: the kernel takes one structure, which is what its launch was made with (the sources and `args.rs` are
        // held together by tests), and the call copies it. Its addresses are of the plan's memory and of weights.
        unsafe {
            let params = &mut [args.as_mut_ptr().cast()];
            result::launch_kernel(kernel, (across, down, 1), (THREADS, 1, 1), 0, self.stream, params)?;
        }
        Ok(())
    }

    fn library(&self) -> Result<String, String> {
        self.blas().map(Blas::name)
    }

    fn matmul_scratch(&self, of: &Matmul) -> Option<u64> {
        self.blas().ok()?.scratch(of)
    }

    fn matmul(&mut self, of: &Matmul, at: &MatmulAt) -> Result<(), Fault> {
        self.blas().map_err(Fault::Other)?.multiply(of, at, self.stream.cast())
    }

    fn begin_capture(&mut self) -> Result<(), Fault> {
        self.enter()?;
        // The library loads a kernel when it is first wanted, which the other modes refuse in the middle of a capture. What they
        // watch over, calls of others that would end up in it, does not happen here: the stream is the card's own.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream is the card's own.
        Ok(unsafe { stream::begin_capture(self.stream, mode) }?)
    }

    fn end_capture(&mut self) -> Result<Graph, Fault> {
        self.enter()?;
        // SAFETY: the stream is the card's own.
        let noted = unsafe { stream::end_capture(self.stream) }?;
        // SAFETY: the graph was just given, and is not needed once there is something that can be launched.
        let made = unsafe {
            let made = graph::instantiate(noted, sys::CUgraphInstantiate_flags(0));
            let _ = graph::destroy(noted);
            made
        }?;
        let number = self.next();
        self.graphs.insert(number, made);
        Ok(Graph(number))
    }

    fn replay(&mut self, graph: Graph) -> Result<(), Fault> {
        self.enter()?;
        let known = self.graphs.get(&graph.0).ok_or_else(|| Fault::Other("a graph that is gone".to_owned()))?;
        // SAFETY: the graph is known, so it was not let go.
        Ok(unsafe { graph::launch(*known, self.stream) }?)
    }

    fn forget(&mut self, graph: Graph) {
        if let Some(known) = self.graphs.remove(&graph.0)
            && self.enter().is_ok()
        {
            // SAFETY: the graph was known, and is not any more.
            let _ = unsafe { graph::exec_destroy(known) };
        }
    }

    fn mark(&mut self) -> Result<Mark, Fault> {
        self.enter()?;
        let made = event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)?;
        let number = self.next();
        self.marks.insert(number, made);
        // SAFETY: event and stream are the card's own.
        unsafe { event::record(made, self.stream) }?;
        Ok(Mark(number))
    }

    fn passed(&mut self, mark: Mark) -> Result<bool, Fault> {
        self.enter()?;
        let Some(known) = self.marks.get(&mark.0).copied() else { return Ok(true) };
        // SAFETY: the event is known, so it was not destroyed.
        match unsafe { event::query(known) } {
            Err(DriverError(sys::CUresult::CUDA_ERROR_NOT_READY)) => return Ok(false),
            told => {
                self.marks.remove(&mark.0);
                // SAFETY: the event was known, and is not any more.
                let _ = unsafe { event::destroy(known) };
                told?;
            }
        }
        Ok(true)
    }

    fn settle(&mut self) {
        if self.enter().is_ok() {
            // SAFETY: the stream is the card's own. What failed is told by the next call that can tell it.
            let _ = unsafe { stream::synchronize(self.stream) };
        }
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        self.settle();
        for graph in self.graphs.keys().copied().collect::<Vec<_>>() {
            self.forget(Graph(graph));
        }
        // While there is a context.
        drop(self.library.take());
        // SAFETY: nothing that was sent is on its way, the handles are the card's own, and this is their end.
        unsafe {
            for mark in self.marks.values() {
                let _ = event::destroy(*mark);
            }
            let _ = module::unload(self.module);
            let _ = stream::destroy(self.stream);
            let _ = primary_ctx::release(self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a card this opens it; without one it says what is missing, and nothing else happens.
    #[test]
    fn a_machine_without_a_card_says_so() {
        if let Err(fault) = Card::open(0) {
            let words = fault.to_string();
            assert!(words.contains("driver") || words.contains("compiler") || words.contains("device"), "{words}");
        }
    }
}
