//! One integration binary: the walls of the house, the real server, real browsers. Knows no unit's insides.

mod tidy;
