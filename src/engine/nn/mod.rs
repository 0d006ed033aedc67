//! Blocks that two networks or more are made of. Field names are checkpoint keys. Knows the operations; knows no
//! model and no file format.

pub mod attention;
pub mod graph;
pub mod layers;
pub mod resnet;
