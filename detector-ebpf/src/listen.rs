//! Listens: `inet_csk_listen_start` sets LISTEN in the listening process.

use detector_ebpf::{KIND_LISTEN, PORTS_LISTEN};

use crate::{
    maps::SLOT_STATE,
    record::{Notice, next_cookie, send_full},
    sock::{Sock, is_watched},
};

#[inline(always)]
pub(crate) fn listening(sock: Sock) {
    if !is_watched(PORTS_LISTEN, sock.local_port()) || !sock.is_tcp() {
        return;
    }
    let cookie = next_cookie(SLOT_STATE);
    send_full(
        &Notice::new(SLOT_STATE, KIND_LISTEN, cookie).made(sock),
        sock,
    );
}
