//! Families of models, one a file: from a recipe to pictures, step by step. Knows networks and samplers; knows no
//! kernels.

pub mod stable_diffusion;
