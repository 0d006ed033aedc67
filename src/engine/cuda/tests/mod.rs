//! The backend without a card: its kernels on the host against the CPU's, its order of calls against a double. Where this
//! build is for GPUs and the machine has one, the kernels run on it too.

mod double;
mod host;
mod kernels;
mod order;
#[cfg(feature = "cuda")]
mod played;
mod ptx;
mod whole;

use super::driver::Driver;

/// The card of this machine.
fn card() -> Option<Box<dyn Driver>> {
    #[cfg(feature = "cuda")]
    if let Ok(card) = super::card::Card::open(0) {
        return Some(Box::new(card));
    }
    None
}
