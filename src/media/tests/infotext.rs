//! Tests of `infotext`.
