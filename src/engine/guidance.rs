//! Classifier-free guidance: a denoiser that wraps a denoiser of twice the batch. Knows no network.

use crate::{
    EngineError,
    ops::{self, Buf, Guide, Op, Shape},
    plan::Planner,
    samplers::Denoiser,
    session::Session,
};

/// How strongly the prompt is followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guidance {
    /// `without + scale * (with - without)` (Ho and Salimans 2022).
    pub scale: f32,
    /// Share of the result that is brought back to the deviation of the prediction with the prompt, 0 to 1 (Lin et
    /// al. 2023).
    pub rescale: f32,
}

impl Guidance {
    /// Whether the prediction without the prompt counts at all. Where it does not, the inner denoiser is used by
    /// itself, at half the work.
    pub fn counts(self) -> bool {
        self.scale > 1.0
    }

    /// Pictures that the network sees for each picture that is made.
    pub fn passes(self) -> usize {
        if self.counts() { 2 } else { 1 }
    }
}

/// The guided denoiser. The inner one sees each picture twice: first all without the prompt, then all with it.
#[derive(Debug)]
pub struct Guided<D> {
    inner: D,
    guidance: Guidance,
    params: Buf,
    output: Buf,
}

impl<D: Denoiser> Guided<D> {
    /// Wraps `inner`, whose input and output have twice the pictures.
    pub fn plan(planner: &mut Planner, inner: D, guidance: Guidance) -> Guided<D> {
        let shape = inner.output().shape;
        assert!(shape.n.is_multiple_of(2), "a guided network sees every picture twice");
        let output = planner.keep(Shape { n: shape.n / 2, ..shape });
        Guided { inner, guidance, params: planner.keep(Shape::vector(2)), output }
    }
}

impl<D: Denoiser> Denoiser for Guided<D> {
    fn input(&self) -> Buf {
        let input = self.inner.input();
        input.pictures(0, input.shape.n / 2)
    }

    fn output(&self) -> Buf {
        self.output
    }

    fn predict(&mut self, session: &mut Session<'_>, timestep: f32) -> Result<(), EngineError> {
        let (input, output) = (self.inner.input(), self.inner.output());
        let half = output.shape.n / 2;
        let again = input.pictures(half, half);
        session.op(Op::Copy(ops::Copy { dst: again, x: self.input() }))?;
        self.inner.predict(session, timestep)?;
        session.write(self.params, &[self.guidance.scale, self.guidance.rescale]);
        let (without, with) = (output.pictures(0, half), output.pictures(half, half));
        session.op(Op::Guide(Guide { dst: self.output, without, with, params: self.params }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuBackend;
    use std::ops::ControlFlow;

    /// Predicts the input in the first half, and the input times `factor` in the second.
    struct Toy {
        input: Buf,
        output: Buf,
        factor: f32,
    }

    impl Denoiser for Toy {
        fn input(&self) -> Buf {
            self.input
        }
        fn output(&self) -> Buf {
            self.output
        }
        fn predict(&mut self, session: &mut Session<'_>, _: f32) -> Result<(), EngineError> {
            let half = self.input.shape.n / 2;
            session.combine(self.output.pictures(0, half), &[(1.0, self.input.pictures(0, half))])?;
            session.combine(self.output.pictures(half, half), &[(self.factor, self.input.pictures(half, half))])
        }
    }

    fn guided(guidance: Guidance, x: &[f32]) -> Vec<f32> {
        let mut planner = Planner::new();
        let coefficients = Session::coefficients(&mut planner);
        let shape = Shape::new(4, 1, 2, 2);
        let toy = Toy { input: planner.keep(shape), output: planner.keep(shape), factor: 3.0 };
        let mut denoiser = Guided::plan(&mut planner, toy, guidance);
        let plan = planner.finish();
        let mut backend = CpuBackend::new(1);
        let on_step = &mut |_: crate::Step<'_>| ControlFlow::Continue(());
        let mut session = Session::new(&mut backend, &plan, coefficients, on_step).unwrap();
        session.write(denoiser.input(), x);
        denoiser.predict(&mut session, 1.0).unwrap();
        session.read(denoiser.output())
    }

    #[test]
    fn guidance_extrapolates_from_without_to_with() {
        let x = [1.0, -2.0, 0.5, 0.0, 4.0, 3.0, -1.0, 2.0];
        let expected: Vec<f32> = x.iter().map(|x| x * (1.0 + 7.5 * 2.0)).collect();
        assert_eq!(guided(Guidance { scale: 7.5, rescale: 0.0 }, &x), expected);
    }

    #[test]
    fn rescale_brings_the_deviation_back_picture_by_picture() {
        let x = [1.0, -2.0, 0.5, 0.0, 4.0, 3.0, -1.0, 2.0];
        let found = guided(Guidance { scale: 7.5, rescale: 1.0 }, &x);
        for (found, x) in found.iter().zip(x) {
            assert!((found - 3.0 * x).abs() < 1e-5, "{found} against {}", 3.0 * x);
        }
    }

    #[test]
    fn a_scale_of_one_and_less_needs_one_pass() {
        let passes = |scale| Guidance { scale, rescale: 0.0 }.passes();
        assert_eq!([passes(0.0), passes(1.0), passes(1.01), passes(7.5)], [1, 1, 2, 2]);
    }
}
