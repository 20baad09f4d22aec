//! Which conditions Falco says do not tell the event types that they are about.

use super::{FileRow, Outcome::Warns};

pub(super) const ROWS: &[FileRow] = &[
    (
        "2.14",
        "@r evt.type contains connect\n",
        Warns(&["LOAD_NO_EVTTYPE"]),
    ),
    (
        "2.14",
        "@r evt.type startswith connect\n",
        Warns(&["LOAD_NO_EVTTYPE"]),
    ),
    (
        "2.14",
        "@r evt.type glob connect\n",
        Warns(&["LOAD_NO_EVTTYPE"]),
    ),
    (
        "2.14",
        "@r evt.type intersects (connect, accept)\n",
        Warns(&["LOAD_NO_EVTTYPE"]),
    ),
    (
        "2.14",
        "@r not evt.type intersects (connect, accept)\n",
        Warns(&["LOAD_NO_EVTTYPE"]),
    ),
    ("2.14", "@r evt.num < 2\n", Warns(&["LOAD_NO_EVTTYPE"])),
    ("2.14", "@r evt.num > 0\n", Warns(&["LOAD_NO_EVTTYPE"])),
    (
        "2.14",
        "@r evt.num in (0, 1)\n",
        Warns(&["LOAD_NO_EVTTYPE"]),
    ),
    (
        "2.14",
        "@r not evt.num in (0)\n",
        Warns(&["LOAD_NO_EVTTYPE"]),
    ),
    ("2.14", "@r syscall.type = connect\n", Warns(&[])),
    ("2.14", "@r evt.num < 1\n", Warns(&[])),
    ("2.14", "@r evt.num <= 0\n", Warns(&[])),
    ("2.14", "@r evt.num in (0)\n", Warns(&[])),
    ("2.14", "@r not evt.num > 0\n", Warns(&[])),
    ("2.14", "@r not evt.num >= 1\n", Warns(&[])),
    ("2.14", "@r not evt.num != 0\n", Warns(&[])),
];
