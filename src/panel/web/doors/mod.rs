//! The doors: studio key, picking a profile, PIN, admin mode, logging out. Knows no job.
