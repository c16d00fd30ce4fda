//! Tests of every endpoint that the program declares: authorization, and refusal of invalid input.

mod access;
mod bad_input;
mod calls;
mod description;
mod surface;
mod world;

pub(crate) use calls::{Args, SampleCall, plain, sample};
pub(crate) use world::{World, create};
