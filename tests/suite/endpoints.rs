//! Every endpoint, as the program itself lists them: who may call it, and that nothing that is sent to it gets the better of it.

mod access;
mod bad_input;
mod calls;
mod description;
mod surface;
mod world;

pub(crate) use calls::{Args, SampleCall, plain, sample};
pub(crate) use world::{World, create};
