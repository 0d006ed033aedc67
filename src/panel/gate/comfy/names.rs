//! Whose a file is, by its name: each profile's lie in `@<profile>` below ComfyUI's output, input and temp folders. Pure;
//! knows no disk.

use super::Refusal;
use crate::users::ProfileId;
use std::fmt;

/// Bytes of a path below one of ComfyUI's folders.
const PATH_MAX: usize = 512;
/// Characters of a client id that a browser chose.
const CLIENT_MAX: usize = 64;
/// What a name is annotated with, and where it lies then.
const ANNOTATIONS: [(&str, Kind); 3] = [("[output]", Kind::Output), ("[input]", Kind::Input), ("[temp]", Kind::Temp)];
/// What names of files end in that are brought and read as pictures, videos, sounds, models and documents.
const MEDIA: &str = "png apng jpg jpeg webp gif bmp tif tiff avif heic jxl exr hdr psd mp4 m4v webm mkv mov avi mpg mpeg ts wav mp3 \
    flac ogg opus m4a aac glb gltf obj mtl fbx stl ply splat ksplat spz usdz dae cube safetensors latent pdf docx epub";
/// Texts, which are brought and shown, and read as nothing else: a list of other files is one too, and ffmpeg plays those.
const TEXTS: &str = "txt json jsonl csv tsv md srt vtt yaml yml svg";
/// Bytes of a file in which ffmpeg looks for what it is.
const PROBED: usize = 1024 * 1024;

/// One of ComfyUI's folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// What was uploaded.
    Input,
    /// What was made.
    Output,
    /// Previews, until ComfyUI ends.
    Temp,
}

impl Kind {
    /// By its name in the API.
    pub(super) fn parse(text: &str) -> Option<Kind> {
        match text {
            "input" => Some(Kind::Input),
            "output" => Some(Kind::Output),
            "temp" => Some(Kind::Temp),
            _ => None,
        }
    }

    /// Its name in the API.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Input => "input",
            Kind::Output => "output",
            Kind::Temp => "temp",
        }
    }
}

/// A file below one of ComfyUI's folders.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct File {
    /// Which folder.
    pub(super) kind: Kind,
    /// Below it; empty for the folder itself.
    pub(super) subfolder: String,
    /// One plain name.
    pub(super) name: String,
}

/// A profile inside ComfyUI: the folder that is its own, and the ids of its browsers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    profile: String,
    folder: String,
}

impl Owner {
    /// Of a profile. An id has none of the characters that a path or an address gives a meaning to.
    pub(super) fn of(profile: &ProfileId) -> Owner {
        Owner { profile: profile.to_string(), folder: format!("@{profile}") }
    }

    /// The name of its folder.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// A path below one of ComfyUI's folders, led into the profile's own; one that is in it already stays.
    pub(super) fn own(&self, path: &str) -> Result<String, Refusal> {
        check(path)?;
        let first = path.split('/').next().unwrap_or_default();
        Ok(if first == self.folder { path.to_owned() } else { format!("{}/{path}", self.folder) })
    }

    /// The same for a folder, where empty means all of the profile's own.
    pub(super) fn own_folder(&self, path: &str) -> Result<String, Refusal> {
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() { Ok(self.folder.clone()) } else { self.own(path) }
    }

    /// A file that a browser names by folder and name; the name may hold a folder too, or say where it lies (`x.png [temp]`).
    /// `has` tells of files outside of all profiles' folders whether the profile's own prompts made them.
    pub(super) fn file(&self, kind: Kind, subfolder: &str, name: &str, has: &dyn Fn(&File) -> bool) -> Result<File, Refusal> {
        self.file_as(As::Bytes, kind, subfolder, name, has)
    }

    /// The same, read as this.
    pub(super) fn file_as(
        &self,
        read: As,
        kind: Kind,
        subfolder: &str,
        name: &str,
        has: &dyn Fn(&File) -> bool,
    ) -> Result<File, Refusal> {
        let (name, said) = annotated(name)?;
        let kind = said.unwrap_or(kind);
        let path = if subfolder.is_empty() { name.to_owned() } else { format!("{}/{name}", subfolder.trim_end_matches('/')) };
        check(&path)?;
        check_extension(&path, read)?;
        let as_it_is = split(kind, &path);
        if !path.starts_with('@') && has(&as_it_is) {
            return Ok(as_it_is);
        }
        Ok(split(kind, &self.own(&path)?))
    }

    /// An annotated name as a node's input holds it, led into the profile's own folder.
    pub(super) fn input(&self, value: &str, has: &dyn Fn(&File) -> bool) -> Result<String, Refusal> {
        self.input_as(As::Media, value, has)
    }

    /// The same, read as this.
    pub(super) fn input_as(&self, read: As, value: &str, has: &dyn Fn(&File) -> bool) -> Result<String, Refusal> {
        let (_, said) = annotated(value)?;
        let file = self.file_as(read, Kind::Input, "", value, has)?;
        let path = if file.subfolder.is_empty() { file.name } else { format!("{}/{}", file.subfolder, file.name) };
        Ok(match said {
            Some(kind) => format!("{path} [{}]", kind.as_str()),
            None => path,
        })
    }

    /// What ComfyUI knows a browser of this profile by. None for an id that is not plain.
    pub(super) fn client(&self, shown: &str) -> Option<String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let good = (1..=CLIENT_MAX).contains(&shown.len()) && shown.bytes().all(plain);
        good.then(|| format!("{}.{shown}", self.profile))
    }

    /// What the browser calls itself, out of what ComfyUI knows it by. None where it is another profile's.
    pub(super) fn shown_client<'a>(&self, real: &'a str) -> Option<&'a str> {
        real.strip_prefix(&self.profile)?.strip_prefix('.')
    }

    /// Whether a text names the folder of another profile, as a path would.
    pub(super) fn is_foreign(&self, text: &str) -> bool {
        let parts = text.split(['/', '\\']).map(|part| part.trim());
        parts.filter(|part| *part != self.folder).filter_map(|part| part.strip_prefix('@')).any(|id| ProfileId::parse(id).is_ok())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.profile)
    }
}

fn split(kind: Kind, path: &str) -> File {
    let (subfolder, name) = path.rsplit_once('/').unwrap_or(("", path));
    File { kind, subfolder: subfolder.to_owned(), name: name.to_owned() }
}

/// A name without its annotation, and the folder that it names. ComfyUI takes one off; a second one would be read by
/// whoever comes next.
pub(super) fn annotated(name: &str) -> Result<(&str, Option<Kind>), Refusal> {
    let of = |name: &str| ANNOTATIONS.iter().find(|(text, _)| name.ends_with(text)).map(|(text, kind)| (text.len(), *kind));
    let Some((length, kind)) = of(name) else { return Ok((name, None)) };
    // ComfyUI cuts the blank before it off too, whatever stands there.
    let rest = &name[..name.len() - length];
    match rest.strip_suffix(' ') {
        Some(rest) if of(rest.trim_end()).is_none() => Ok((rest, Some(kind))),
        _ => Err(Refusal::new(format!("\"{name}\" is no name that ComfyUI reads in one way."))),
    }
}

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum As {
    /// What it says it is, by somebody who plays what it names.
    Media,
    /// Bytes.
    Bytes,
}

/// Whether a file's name ends in what is known to be no list of other files. A list is a text, so where those are not played
/// they are fine.
pub(super) fn check_extension(path: &str, read: As) -> Result<(), Refusal> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    if MEDIA.split(' ').any(|known| known == extension) || (read == As::Bytes && is_text_file(&extension)) {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "\"{}\" is no kind of file that is read there: pictures, videos, sounds and models are, like .png or .mp4.",
        name.chars().filter(|c| !c.is_control()).take(80).collect::<String>()
    )))
}

/// Whether an extension, with or without its dot, is one of texts.
pub(super) fn is_text_file(extension: &str) -> bool {
    let extension = extension.strip_prefix('.').unwrap_or(extension).to_ascii_lowercase();
    TEXTS.split(' ').any(|known| known == extension)
}

/// Whether a file is a list of other files by what is in it, as ffmpeg sees that, whatever the file is called.
pub(super) fn is_playlist(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(PROBED)]).to_ascii_lowercase();
    let text = head.trim_start_matches('\u{feff}').trim_start();
    ["#extm3u", "ffconcat", "v=0", "[playlist]"].iter().any(|start| text.starts_with(start))
        || text.contains("<compositionplaylist")
        || text.lines().any(|line| line.starts_with("c=in ip"))
        || (text.contains("<mpd") && (text.contains("dash:profile") || text.contains("profile:dash")))
}

/// Whether a path stays below the folder that it is in, whoever reads it.
fn check(path: &str) -> Result<(), Refusal> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let clean = !path.contains('\\') && !path.chars().any(char::is_control);
    if path.len() <= PATH_MAX && clean && path.split('/').all(plain) {
        return Ok(());
    }
    let shown: String = path.chars().filter(|c| !c.is_control()).take(80).collect();
    Err(Refusal::new(format!(
        "\"{shown}\" leads out of your own folder. Write a name, or folders and a name, like \"portraits/zoe\"."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zoe() -> Owner {
        Owner::of(&ProfileId::parse("zoe").unwrap())
    }

    fn nothing(_: &File) -> bool {
        false
    }

    #[test]
    fn a_path_is_led_into_the_profiles_own_folder_once() {
        let zoe = zoe();
        assert_eq!(zoe.own("ComfyUI").unwrap(), "@zoe/ComfyUI");
        assert_eq!(zoe.own("@zoe/a/b").unwrap(), "@zoe/a/b");
        assert_eq!(zoe.own("@mateo/a").unwrap(), "@zoe/@mateo/a", "somebody else's name is a name like any other");
        assert_eq!(zoe.own("@zoey/a").unwrap(), "@zoe/@zoey/a");
        assert_eq!(
            (zoe.own_folder("").unwrap(), zoe.own_folder("clipspace/").unwrap()),
            ("@zoe".into(), "@zoe/clipspace".into())
        );
        for out in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../@mateo/x",
            "a/../../x",
            "a//b",
            "./a",
            "a\\..\\b",
            "a\0",
            "@zoe/../@mateo",
            "a/",
            "a\nb",
        ] {
            assert!(zoe.own(out).is_err(), "{out:?}");
        }
        assert!(zoe.own(&"a".repeat(PATH_MAX + 1)).is_err());
    }

    #[test]
    fn annotations_say_the_folder_and_count_once() {
        let zoe = zoe();
        let input = |value: &str| zoe.input(value, &nothing).ok();
        assert_eq!(input("x.png").as_deref(), Some("@zoe/x.png"));
        assert_eq!(input("clipspace/x.png [input]").as_deref(), Some("@zoe/clipspace/x.png [input]"));
        assert_eq!(input("@zoe/x.png [output]").as_deref(), Some("@zoe/x.png [output]"));
        assert_eq!(input("@mateo/x.png [output]").as_deref(), Some("@zoe/@mateo/x.png [output]"));
        // In capitals it is no annotation to ComfyUI either, and so no end of a picture's name.
        for twice in [
            "x.png [TEMP]",
            "x.png [output] [temp]",
            "x.png[temp]",
            "[temp]",
            " [temp]",
            "../x [input]",
            "x.png [input]  [output]",
        ] {
            assert_eq!(input(twice), None, "{twice:?}");
        }
    }

    #[test]
    fn a_list_of_other_files_is_no_file() {
        let zoe = zoe();
        let read = |read: As, name: &str| zoe.file_as(read, Kind::Input, "", name, &nothing).is_ok();
        for name in ["x.png", "x.PNG", "a/b.mp4", "x.m4a [output]", "mesh.glb", "a.b.webp"] {
            assert!(read(As::Media, name) && read(As::Bytes, name), "{name}");
        }
        for name in ["notes.txt", "a.json", "x.svg"] {
            assert!(!read(As::Media, name) && read(As::Bytes, name), "{name}");
        }
        for name in ["x.m3u8", "x.M3U8", "x.m3u8 [output]", "x.mpd", "x.ffconcat", "x.sdp", "x", "x.png.m3u", "a.png/x"] {
            assert!(!read(As::Media, name) && !read(As::Bytes, name), "{name}");
        }
        assert!(is_text_file(".txt") && is_text_file("JSON") && !is_text_file(".m3u8") && !is_text_file(""));
    }

    #[test]
    fn a_list_of_other_files_is_known_by_what_is_in_it() {
        let dash = "# an object\n<MPD profiles='urn:mpeg:dash:profile:isoff-live:2011'>";
        for text in [
            "#EXTM3U\n",
            "\u{feff} #extm3u",
            dash,
            "ffconcat version 1.0",
            "v=0\r\n",
            "x\nc=IN IP4 10.0.0.1",
            "a<CompositionPlaylist ",
        ] {
            assert!(is_playlist(text.as_bytes()), "{text:?}");
        }
        for begins in [&b"\x89PNG"[..], b"", b"\xff\xd8", b"<?xml version='1.0'?><svg>", b"video", b"\0\0\0\x18ftyp <MPD"] {
            assert!(!is_playlist(begins), "{begins:?}");
        }
    }

    #[test]
    fn previews_outside_of_folders_are_whose_prompt_made_them() {
        let zoe = zoe();
        let made = File { kind: Kind::Temp, subfolder: String::new(), name: "ComfyUI_temp_abcde_00001_.png".into() };
        let has = |file: &File| *file == made;
        let file = |kind, subfolder: &str, name: &str| zoe.file(kind, subfolder, name, &has).unwrap();
        assert_eq!(file(Kind::Temp, "", &made.name), made);
        assert_eq!(file(Kind::Output, "", &format!("{} [temp]", made.name)), made);
        assert_eq!(file(Kind::Output, "", &made.name).subfolder, "@zoe");
        assert_eq!(file(Kind::Temp, "", "ComfyUI_temp_other_00001_.png").subfolder, "@zoe");
        let everything = |_: &File| true;
        assert_eq!(zoe.file(Kind::Output, "@mateo", "x.png", &everything).unwrap().subfolder, "@zoe/@mateo");
        assert_eq!(zoe.input("ComfyUI_temp_abcde_00001_.png [temp]", &has).unwrap(), "ComfyUI_temp_abcde_00001_.png [temp]");
    }

    #[test]
    fn a_client_is_known_by_its_profile() {
        let (zoe, mateo) = (zoe(), Owner::of(&ProfileId::parse("mateo").unwrap()));
        let real = zoe.client("0a-1").unwrap();
        assert_eq!((real.as_str(), zoe.shown_client(&real), mateo.shown_client(&real)), ("zoe.0a-1", Some("0a-1"), None));
        for strange in ["", "mateo.x", "a b", "a&clientId=b", &"a".repeat(CLIENT_MAX + 1)] {
            assert_eq!(zoe.client(strange), None, "{strange}");
        }
    }

    #[test]
    fn the_folders_of_others_are_known_in_any_text() {
        let zoe = zoe();
        for text in ["@mateo", "@mateo/x.png", "input/@mateo", "a\\@mateo\\b", " @mateo /x"] {
            assert!(zoe.is_foreign(text), "{text}");
        }
        for text in ["@zoe/x.png", "a photo by @mateo and friends", "mail@mateo", "@", "@Mateo Meier"] {
            assert!(!zoe.is_foreign(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_stays_below_the_own_folder(path in "[@a-z./\\\\ \\[\\]%]{0,24}(\\.png)?", subfolder in "[@a-z./]{0,12}") {
            let zoe = zoe();
            if let Ok(file) = zoe.file(Kind::Output, &subfolder, &path, &nothing) {
                let whole = format!("{}/{}", file.subfolder, file.name);
                prop_assert!(whole.starts_with("@zoe/") && !whole.contains('\\'), "{}", whole);
                prop_assert!(whole.split('/').all(|part| !part.is_empty() && part != ".." && part != "."), "{}", whole);
            }
        }
    }
}
