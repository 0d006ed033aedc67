//! A run in progress: a device with a reserved plan, and the one who hears of its steps. Knows no network and no
//! sampler; both are written against it.

use crate::{
    EngineError, Picture, Step,
    ops::{Backend, Buf, LinearCombination, Op, Shape, Stopped},
    plan::{Plan, Planner, Program},
};
use std::ops::ControlFlow;

/// Most terms of a [`Session::combine`].
pub const MAX_TERMS: usize = 16;

/// Hears of steps; breaks the run off.
pub type OnStep<'a> = dyn FnMut(Step<'_>) -> ControlFlow<()> + 'a;

/// Executes programs and single operations on the buffers of one plan.
#[allow(missing_debug_implementations, reason = "holds a device and a closure")]
pub struct Session<'a> {
    backend: &'a mut dyn Backend,
    on_step: &'a mut OnStep<'a>,
    coefficients: Buf,
}

impl<'a> Session<'a> {
    /// The buffer that a session keeps for itself; every plan that a session runs must have it.
    pub fn coefficients(planner: &mut Planner) -> Buf {
        planner.keep(Shape::vector(MAX_TERMS))
    }

    /// Reserves the plan. `coefficients` comes from [`Session::coefficients`] of the same planner.
    pub fn new(
        backend: &'a mut dyn Backend,
        plan: &Plan,
        coefficients: Buf,
        on_step: &'a mut OnStep<'a>,
    ) -> Result<Session<'a>, EngineError> {
        backend.reserve(plan)?;
        Ok(Session { backend, on_step, coefficients })
    }

    /// Fills a buffer from the host. `values` has its length.
    pub fn write(&mut self, buf: Buf, values: &[f32]) {
        self.backend.write(buf, values);
    }

    /// Copies a buffer to the host.
    pub fn read(&self, buf: Buf) -> Vec<f32> {
        read(self.backend, buf)
    }

    /// Executes a program.
    pub fn run(&mut self, program: &Program) -> Result<(), EngineError> {
        self.execute(&program.ops)
    }

    /// Executes one operation, for the small ones between two programs.
    pub fn op(&mut self, op: Op) -> Result<(), EngineError> {
        self.execute(&[op])
    }

    /// `dst = sum of coefficient * buffer` over 1 to [`MAX_TERMS`] terms; `dst` may be one of them.
    pub fn combine(&mut self, dst: Buf, terms: &[(f32, Buf)]) -> Result<(), EngineError> {
        assert!(terms.len() <= MAX_TERMS, "{} terms are over the limit of {MAX_TERMS}", terms.len());
        let mut values = [0.0; MAX_TERMS];
        for (value, (coefficient, _)) in values.iter_mut().zip(terms) {
            *value = *coefficient;
        }
        let coefficients = self.coefficients;
        self.write(coefficients, &values);
        self.op(Op::LinearCombination(LinearCombination { dst, coefficients, terms: terms.iter().map(|t| t.1).collect() }))
    }

    /// Tells of something that is not a denoising step.
    pub fn tell(&mut self, step: Step<'_>) -> Result<(), EngineError> {
        go_on((self.on_step)(step))
    }

    /// Tells that `step` of `steps` is done; `preview` is made from the buffers as they are now, if it is asked for.
    pub fn denoised(&mut self, step: u32, steps: u32, preview: &dyn Fn(&dyn Backend) -> Picture) -> Result<(), EngineError> {
        let backend = &*self.backend;
        go_on((self.on_step)(Step::Denoise { step, steps, preview: &|| preview(backend) }))
    }

    fn execute(&mut self, ops: &[Op]) -> Result<(), EngineError> {
        let on_step = &mut *self.on_step;
        Ok(self.backend.run(ops, &mut || on_step(Step::Poll))?)
    }
}

/// Copies a buffer to the host.
pub fn read(backend: &dyn Backend, buf: Buf) -> Vec<f32> {
    let mut values = vec![0.0; buf.len()];
    backend.read(buf, &mut values);
    values
}

fn go_on(flow: ControlFlow<()>) -> Result<(), EngineError> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Stopped.into()),
    }
}
