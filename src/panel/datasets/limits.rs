//! What a dataset may hold: every limit in one place. Enforced at the door of each road in.

/// Pictures of one dataset. A LoRA is trained on tens to hundreds; each is one card on the page.
pub const MAX_PICTURES: u32 = 2_000;
/// Bytes of one picture, as for references.
pub const MAX_PICTURE: u64 = 64 << 20;
/// Datasets of one profile.
pub const MAX_DATASETS: u32 = 100;
/// Bytes of all pictures of one profile's datasets, and of what is on its way into them.
pub const MAX_PROFILE: u64 = 32 << 30;
/// Bytes of one archive: below 4 GiB no archive needs the large form of its directory, which is not read.
pub const MAX_ZIP: u64 = (4 << 30) - 1;
/// Characters of a caption. Longer than any text encoder reads.
pub const MAX_CAPTION: usize = 4_000;
/// Characters of a dataset's name.
pub const MAX_NAME: usize = 64;
/// Characters of a trigger word.
pub const MAX_TRIGGER: usize = 64;
/// Characters that are searched for, and put in their place.
pub const MAX_SEARCH: usize = 500;
/// Uploads of one profile that are under way at a time.
pub const MAX_UNFINISHED: u32 = 64;
/// Bytes of one piece of an upload; a request holds one piece in memory.
pub const MAX_PIECE: u64 = 8 << 20;
/// Entries of an archive, folders and captions included.
pub const MAX_ENTRIES: usize = 3 * MAX_PICTURES as usize;
/// Out of an archive may come so many times its own bytes, and out of an entry so many times the entry's.
pub const MAX_RATIO: u64 = 100;
/// An entry may become this large, whatever its ratio: a caption of one letter, a picture of one colour.
pub const FREE_OF_RATIO: u64 = 1 << 20;
/// Repeats in the name of a kohya folder.
pub const MAX_REPEATS: u32 = 1_000;
/// Characters of what a vision model is asked.
pub const MAX_INSTRUCTION: usize = 2_000;
