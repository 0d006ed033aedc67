//! Networks, one a file. Field names are checkpoint keys, so that each file reads beside the checkpoint. A forward
//! pass records operations; it computes nothing.

pub mod autoencoder_kl;
pub mod clip_text;
pub mod unet_2d_condition;
