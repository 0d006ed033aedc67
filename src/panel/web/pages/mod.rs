//! The pages: one file each, page struct and handler together. Knows no rule of the doors.
