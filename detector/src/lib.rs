//! kubelet-detector, in pipeline order.
pub mod alert;
pub mod event;
pub mod host;
pub mod source;
