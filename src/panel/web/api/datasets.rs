//! `/api/v1/datasets`: the caller's datasets, and how their pictures will be cut. Knows no file.

use super::body;
use crate::{
    App,
    datasets::{DatasetError, DatasetView, PictureView, RESOLUTIONS, TaskView, fit},
    error::AppError,
    web::auth::Artist,
};
use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Json, Path, Payload, Query},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

impl From<DatasetError> for AppError {
    fn from(e: DatasetError) -> AppError {
        match e {
            DatasetError::Unknown => AppError::NotFound,
            DatasetError::Field(field, words) => AppError::field(field, words),
            DatasetError::Clash(_) | DatasetError::WrongOffset(_) | DatasetError::Stale(_) => AppError::Conflict(e.to_string()),
            DatasetError::TooLarge(words) => AppError::TooLarge(words),
            DatasetError::Store(e) => e.into(),
            DatasetError::Disk(e) if e.kind() == std::io::ErrorKind::NotFound => AppError::NotFound,
            DatasetError::Disk(e) => AppError::io(&e),
        }
    }
}

/// Pictures of a dataset that are shown in the list.
const COVERS: u32 = 4;

/// The caller's datasets.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DatasetList {
    /// The last changed first.
    items: Vec<ListedDataset>,
}

/// A dataset in the list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ListedDataset {
    #[serde(flatten)]
    dataset: DatasetView,
    /// The ids of its first few pictures.
    covers: Vec<String>,
}

/// What a dataset is called.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Naming {
    /// Its name, 1 to 64 characters.
    name: String,
    /// The word that the LoRA is called by in prompts, at most 64 characters; may be empty.
    #[serde(default)]
    trigger: String,
}

/// Which pictures.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// Only pictures that changed after this version of the dataset; all where absent.
    after: Option<i64>,
}

/// A dataset with its pictures.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DatasetNow {
    /// The dataset as it is now.
    pub(in crate::web) dataset: DatasetView,
    /// Its pictures, in the order in which they came.
    pub(in crate::web) pictures: Vec<PictureView>,
    /// What runs for it, or ran last.
    pub(in crate::web) task: Option<TaskView>,
}

/// A training resolution.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// Pixels of a side: 512, 768 or 1024; 512 where absent.
    resolution: Option<u32>,
}

/// How a dataset is cut for training.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Buckets {
    /// Pixels of a side.
    resolution: u32,
    /// Sizes and how many pictures each takes, the fullest first.
    buckets: Vec<BucketCount>,
    /// Pictures with an area below the resolution's.
    small: u32,
    /// Pictures with a side too short for any bucket.
    unusable: u32,
    /// Each picture's place.
    pictures: Vec<Cut>,
}

/// One bucket.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BucketCount {
    /// Pixels.
    width: u32,
    /// Pixels.
    height: u32,
    /// How many pictures.
    count: u32,
}

/// How one picture is cut.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Cut {
    /// The picture.
    id: String,
    /// Width and height of its bucket; none where a side is too short.
    bucket: Option<(u32, u32)>,
    /// What is kept, in shares of its width and height: left, top, width, height.
    kept: (f64, f64, f64, f64),
    /// Its area is below the resolution's, so it is trained smaller than the others.
    small: bool,
}

/// The caller's datasets, the last changed first.
#[utoipa::path(get, path = "/api/v1/datasets", tag = "datasets", responses((status = 200, body = DatasetList)))]
pub async fn list(app: Data<App>, artist: Artist) -> Result<Json<DatasetList>, AppError> {
    Ok(Json(DatasetList { items: listed(&app, &artist).await? }))
}

/// The caller's datasets with their first pictures.
pub(in crate::web) async fn listed(app: &App, artist: &Artist) -> Result<Vec<ListedDataset>, AppError> {
    let mut items = Vec::new();
    for dataset in app.datasets.list(&artist.profile.id).await? {
        let covers = app.datasets.first(&dataset.id, COVERS).await?;
        items.push(ListedDataset { dataset: dataset.into(), covers });
    }
    Ok(items)
}

/// Makes an empty dataset.
#[utoipa::path(post, path = "/api/v1/datasets", tag = "datasets", request_body = Naming, responses((status = 201, body = DatasetView)))]
pub async fn make(app: Data<App>, artist: Artist, payload: Payload) -> Result<HttpResponse, AppError> {
    let Naming { name, trigger } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    let made = app.datasets.make(&artist.profile.id, &name, &trigger).await?;
    Ok(HttpResponse::Created().json(DatasetView::from(made)))
}

/// Everything about one dataset; what the page is made of.
pub(in crate::web) async fn now(app: &App, artist: &Artist, id: &str, after: i64) -> Result<DatasetNow, AppError> {
    let (dataset, pictures) = app.datasets.look(&artist.profile.id, id, after).await?;
    let pictures = pictures.into_iter().map(PictureView::from).collect();
    Ok(DatasetNow { dataset: dataset.into(), pictures, task: app.datasets.task(id) })
}

/// A dataset and its pictures: all, or those that changed after a version.
#[utoipa::path(get, path = "/api/v1/datasets/{id}", tag = "datasets", params(("id" = String, Path), Since), responses((status = 200, body = DatasetNow)))]
pub async fn get(app: Data<App>, artist: Artist, id: Path<String>, since: Query<Since>) -> Result<HttpResponse, AppError> {
    let now = now(&app, &artist, &id, since.after.unwrap_or(0)).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(now))
}

/// Gives a dataset another name and trigger word.
#[utoipa::path(patch, path = "/api/v1/datasets/{id}", tag = "datasets", params(("id" = String, Path)), request_body = Naming,
    responses((status = 200, body = DatasetView)))]
pub async fn change(app: Data<App>, artist: Artist, id: Path<String>, payload: Payload) -> Result<Json<DatasetView>, AppError> {
    let profile = &artist.profile.id;
    app.datasets.get(profile, &id).await?;
    let Naming { name, trigger } = body::parse(&body::bytes(payload, body::MAX_JSON).await?)?;
    app.datasets.rename(profile, &id, &name, &trigger).await?;
    Ok(Json(app.datasets.get(profile, &id).await?.into()))
}

/// Removes a dataset with its pictures, for good.
#[utoipa::path(delete, path = "/api/v1/datasets/{id}", tag = "datasets", params(("id" = String, Path)), responses((status = 204)))]
pub async fn delete(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    app.datasets.delete(&artist.profile.id, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Into which bucket each picture goes at a training resolution, and what is cut off: as sd-scripts does with
/// `bucket_no_upscale`, in steps of 64.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/buckets", tag = "datasets", params(("id" = String, Path), At), responses((status = 200, body = Buckets)))]
pub async fn buckets(app: Data<App>, artist: Artist, id: Path<String>, at: Query<At>) -> Result<Json<Buckets>, AppError> {
    let (_, pictures) = app.datasets.look(&artist.profile.id, &id, 0).await?;
    let resolution = at.resolution.unwrap_or(RESOLUTIONS[0]);
    if !RESOLUTIONS.contains(&resolution) {
        return Err(AppError::field("resolution", "It is 512, 768 or 1024."));
    }
    let mut counts: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    let mut answer = Buckets { resolution, buckets: Vec::new(), small: 0, unusable: 0, pictures: Vec::new() };
    for picture in pictures {
        let fit = fit(picture.width, picture.height, resolution);
        match fit.bucket {
            Some(bucket) => *counts.entry(bucket).or_default() += 1,
            None => answer.unusable += 1,
        }
        answer.small += u32::from(fit.small && fit.bucket.is_some());
        answer.pictures.push(Cut { id: picture.id, bucket: fit.bucket, kept: fit.kept, small: fit.small });
    }
    answer.buckets = counts.into_iter().map(|((width, height), count)| BucketCount { width, height, count }).collect();
    answer.buckets.sort_by_key(|b| std::cmp::Reverse(b.count));
    Ok(Json(answer))
}

/// Ends what runs for a dataset. What it did stays.
#[utoipa::path(delete, path = "/api/v1/datasets/{id}/task", tag = "datasets", params(("id" = String, Path)), responses((status = 204)))]
pub async fn cancel(app: Data<App>, artist: Artist, id: Path<String>) -> Result<HttpResponse, AppError> {
    app.datasets.get(&artist.profile.id, &id).await?;
    app.datasets.cancel(&id);
    Ok(HttpResponse::NoContent().finish())
}
