//! The program: parses the command line and hands over. Knows no work of its own.
fn main() {}
