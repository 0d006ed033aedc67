//! Pictures, videos and sounds as the API shows, filters and names them. Knows no disk.

use super::{Artifact, InComfyUi, Made};
use crate::clock::rfc3339;
use jiff::{Timestamp, civil, tz::TimeZone};
use protocol::Recipe;
use serde::Serialize;

/// A picture, video or sound as the API shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Artifact)]
pub struct ArtifactView {
    /// Its id.
    pub id: String,
    /// The job that made it.
    pub job: String,
    /// Which picture of the batch, from 0.
    pub index: u32,
    /// How it is looked at: `picture`, `video` or `sound`.
    pub kind: &'static str,
    /// A picture that moves.
    pub animated: bool,
    /// How long a video or a sound is, where its file says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The file; parts of it can be asked for.
    pub url: String,
    /// A WebP of at most 512 pixels a side. None of a sound, nor of a video before a still of it was kept.
    pub thumb: String,
    /// Pixels; 0 of a sound.
    pub width: u32,
    /// Pixels; 0 of a sound.
    pub height: u32,
    /// Media type.
    pub mime: String,
    /// Size of the file.
    pub bytes: u64,
    /// When it was finished, RFC 3339.
    pub created: String,
    /// Where it was made: `easel` or `comfyui`.
    pub source: &'static str,
    /// What it was asked to be.
    pub prompt: String,
    /// The workflow that a picture of ComfyUI's holds, where it holds one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The recipe of this picture alone; absent in `state` events, and of pictures that were not made here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub recipe: Option<Recipe>,
}

impl From<Artifact> for ArtifactView {
    fn from(a: Artifact) -> ArtifactView {
        let (prompt, kind) = (a.made.prompt().to_owned(), a.kind());
        let (source, comfy, recipe) = match a.made {
            Made::Here(recipe) => ("easel", InComfyUi::default(), Some(recipe)),
            Made::InComfyUi(comfy) => ("comfyui", comfy, None),
        };
        ArtifactView {
            source,
            prompt,
            kind: kind.name(),
            animated: comfy.animated,
            duration_ms: comfy.duration_ms,
            workflow: comfy.workflow.then(|| format!("/api/v1/artifacts/{}/workflow", a.id)),
            url: format!("/api/v1/artifacts/{}/file", a.id),
            thumb: format!("/api/v1/artifacts/{}/thumb", a.id),
            id: a.id,
            job: a.job.0,
            index: a.index,
            width: a.width,
            height: a.height,
            mime: a.mime,
            bytes: a.bytes,
            created: rfc3339(a.created),
            recipe,
        }
    }
}

/// Which pictures of a gallery are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Words in the prompts, in any case.
    pub q: Option<String>,
    /// Id of the model.
    pub model: Option<String>,
    /// Year and month, in UTC.
    pub month: Option<(i16, i8)>,
}

impl Filter {
    /// The text to search for.
    pub(crate) fn search(&self) -> Option<String> {
        self.q.as_ref().map(|q| q.trim().to_lowercase()).filter(|q| !q.is_empty())
    }

    /// First and last millisecond of the month, the last excluded.
    pub(crate) fn times(&self) -> (Option<i64>, Option<i64>) {
        let Some((year, month)) = self.month else { return (None, None) };
        let ms = |date: civil::Date| date.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp().as_millisecond());
        let Ok(first) = civil::Date::new(year, month, 1) else { return (Some(i64::MAX), None) };
        (ms(first), first.last_of_month().tomorrow().ok().and_then(ms))
    }
}

/// Year and month of "2026-03".
pub fn parse_month(text: &str) -> Option<(i16, i8)> {
    let (year, month) = text.split_once('-')?;
    let date = civil::Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
    (date.year() >= 1970).then_some((date.year(), date.month()))
}

/// The name of a picture among downloads: when, what, which.
pub fn download_name(a: &Artifact) -> String {
    let when = Timestamp::from_millisecond(a.created).unwrap_or(Timestamp::UNIX_EPOCH).strftime("%Y-%m-%d");
    let words: String = a.made.prompt().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).take(60).collect();
    let words = words.split_whitespace().take(6).collect::<Vec<_>>().join("-").to_lowercase();
    let extension = a.path.rsplit_once('.').map_or("png", |(_, e)| e);
    match &a.made {
        Made::Here(recipe) => format!("{when}-{words}-{}.{extension}", recipe.seed),
        // Without a seed, the end of its id tells two of a day apart.
        Made::InComfyUi(_) => {
            let end = a.id.get(a.id.len().saturating_sub(6)..).unwrap_or(&a.id).to_lowercase();
            let words = if words.is_empty() { "comfyui" } else { &words };
            format!("{when}-{words}-{end}.{extension}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_their_days_in_utc() {
        let filter = Filter { month: parse_month("2024-02"), ..Filter::default() };
        let (from, to) = filter.times();
        assert_eq!((to.unwrap() - from.unwrap()) / 86_400_000, 29);
        assert_eq!(rfc3339(from.unwrap()), "2024-02-01T00:00:00Z");
        for wrong in ["2024", "2024-13", "x-y", "", "1969-12", "99999-01"] {
            assert_eq!(parse_month(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn search_texts_lose_case_and_blanks() {
        let filter = |q: &str| Filter { q: Some(q.into()), ..Filter::default() }.search();
        assert_eq!(filter("  ÄPFEL rot "), Some("äpfel rot".into()));
        assert_eq!(filter("   "), None);
    }
}
