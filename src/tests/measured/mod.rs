//! Tests that measure: rates beside a rival's, times of pages. `setup/test.sh` runs them after all others and one at a time,
//! since beside other work they would measure that.

mod flood;
mod flood_page;
pub(crate) mod gate;
mod load;
mod pages;
mod rivals;
