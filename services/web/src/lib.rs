//! The pages that the binary carries: the web client and its library, and the status page.
//!
//! * [`Pages::client`] is served at `/` of the API's port, [`Pages::status`] at `/status` of the admin port.

mod pages;

pub use pages::Pages;
