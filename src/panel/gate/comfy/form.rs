//! Uploads: a multipart form taken apart and written anew, so that the file lands in the profile's own folder whatever the
//! form says twice or in other words. Knows no socket.

use super::Refusal;
use super::names::{As, File, Kind, Owner, check_extension, is_playlist};
use futures_util::stream;
use hyper::body::Bytes;
use multer::Multipart;
use serde_json::{Value, json};
use std::convert::Infallible;

/// Bytes of a field beside the file.
const FIELD_MAX: usize = 64 * 1024;
/// Fields of a form.
const FIELDS_MAX: usize = 32;

/// A form as ComfyUI gets it.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// Its media type, with the boundary.
    pub(super) mime: String,
    /// Its bytes.
    pub(super) body: Vec<u8>,
}

#[derive(Debug, Default)]
struct Fields {
    image: Option<(String, Bytes)>,
    kind: Option<String>,
    subfolder: Option<String>,
    overwrite: Option<String>,
    original: Option<String>,
}

impl Fields {
    /// The first of a name counts, as in ComfyUI; what is not known is not sent on.
    fn keep(&mut self, name: &str, value: Bytes) -> Result<(), Refusal> {
        let place = match name {
            "type" => &mut self.kind,
            "subfolder" => &mut self.subfolder,
            "overwrite" => &mut self.overwrite,
            "original_ref" => &mut self.original,
            _ => return Ok(()),
        };
        let text = std::str::from_utf8(&value).ok().filter(|text| text.len() <= FIELD_MAX);
        let text = text.ok_or_else(|| Refusal::new(format!("The field \"{name}\" is too long, or no text.")))?;
        place.get_or_insert_with(|| text.to_owned());
        Ok(())
    }
}

/// Reads a form of `POST /upload/image` or, with `mask`, `/upload/mask`, and writes it anew. `random` is not in the file.
pub(super) async fn rewrite(
    mime: &str,
    body: Bytes,
    mask: bool,
    owner: &Owner,
    has: &(dyn Fn(&File) -> bool + Sync),
    random: &str,
) -> Result<Form, Refusal> {
    let fields = read(mime, body).await?;
    let kind = Kind::parse(fields.kind.as_deref().unwrap_or("input"));
    let kind = kind.ok_or_else(|| Refusal::new("type must be input, output or temp.".into()))?;
    let Some((name, bytes)) = fields.image else { return Err(Refusal::new("The form has no file.".into())) };
    let plain = owner.own(&name).is_ok() && !name.contains(['/', '"']) && name != owner.folder();
    if !plain {
        return Err(Refusal::new("The file's name must be a plain one, without folders and quotes.".into()));
    }
    check_extension(&name, As::Bytes)?;
    if is_playlist(&bytes) {
        return Err(Refusal::new("The file is a list of other files; upload those.".into()));
    }
    let subfolder = owner.own_folder(fields.subfolder.as_deref().unwrap_or_default())?;
    let mut form = Writer::new(random);
    form.text("type", kind.as_str());
    form.text("subfolder", &subfolder);
    if let Some(overwrite) = fields.overwrite.filter(|text| text == "true" || text == "1") {
        form.text("overwrite", &overwrite);
    }
    if mask {
        form.text("original_ref", &original(fields.original.as_deref(), owner, has)?);
    }
    form.file("image", &name, &bytes);
    Ok(form.finish())
}

/// The picture that a mask is of, in the profile's own folders.
fn original(text: Option<&str>, owner: &Owner, has: &(dyn Fn(&File) -> bool + Sync)) -> Result<String, Refusal> {
    let told: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
    let told = told.ok_or_else(|| Refusal::new("original_ref must be JSON.".into()))?;
    let kind = Kind::parse(told["type"].as_str().unwrap_or("output"));
    let (Some(kind), Some(name)) = (kind, told["filename"].as_str()) else {
        return Err(Refusal::new("original_ref must name a file, and its type input, output or temp.".into()));
    };
    let file = owner.file(kind, told["subfolder"].as_str().unwrap_or_default(), name, &|file| has(file))?;
    Ok(json!({ "filename": file.name, "subfolder": file.subfolder, "type": file.kind.as_str() }).to_string())
}

async fn read(mime: &str, body: Bytes) -> Result<Fields, Refusal> {
    let wrong = |e: multer::Error| Refusal::new(format!("The form cannot be read: {e}."));
    let boundary = multer::parse_boundary(mime).map_err(wrong)?;
    let mut form = Multipart::new(stream::iter([Ok::<Bytes, Infallible>(body)]), boundary);
    let mut fields = Fields::default();
    for _ in 0..FIELDS_MAX {
        let Some(field) = form.next_field().await.map_err(wrong)? else { return Ok(fields) };
        let (name, file) = (field.name().unwrap_or_default().to_owned(), field.file_name().map(str::to_owned));
        let bytes = field.bytes().await.map_err(wrong)?;
        match (name.as_str(), file) {
            ("image", Some(file)) => {
                fields.image.get_or_insert((file, bytes));
            }
            (_, None) => fields.keep(&name, bytes)?,
            _ => {}
        }
    }
    Err(Refusal::new(format!("A form may have {FIELDS_MAX} fields.")))
}

/// Writes a form.
#[derive(Debug)]
struct Writer {
    boundary: String,
    body: Vec<u8>,
}

impl Writer {
    fn new(random: &str) -> Writer {
        Writer { boundary: format!("easel-{random}"), body: Vec::new() }
    }

    fn head(&mut self, rest: &str) {
        self.body.extend(format!("--{}\r\nContent-Disposition: form-data; {rest}\r\n\r\n", self.boundary).bytes());
    }

    fn text(&mut self, name: &str, value: &str) {
        self.head(&format!("name=\"{name}\""));
        self.body.extend(value.bytes());
        self.body.extend(b"\r\n");
    }

    fn file(&mut self, name: &str, file: &str, bytes: &[u8]) {
        self.head(&format!("name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: application/octet-stream"));
        self.body.extend(bytes);
        self.body.extend(b"\r\n");
    }

    fn finish(mut self) -> Form {
        self.body.extend(format!("--{}--\r\n", self.boundary).bytes());
        Form { mime: format!("multipart/form-data; boundary={}", self.boundary), body: self.body }
    }
}

#[cfg(test)]
#[path = "tests/forms.rs"]
mod tests;
