//! The try of a conditional write, of which an answer may be lost.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};

use super::failure::{Failure, Meaning};
use super::operations::Created;

/// Writes an object unless there is one. `number` is that of the try: behind an earlier one of the same content, an object that is
/// there may be ours, with the answer lost; it is if it has this content.
pub(super) async fn attempt(
    store: &dyn ObjectStore,
    path: &Path,
    content: Bytes,
    number: u32,
) -> Result<Created, Failure> {
    let options = PutOptions::from(PutMode::Create);
    let put = store.put_opts(path, content.clone().into(), options).await;
    let failure = match put {
        Ok(_) => return Ok(Created::New),
        Err(error) => Failure::of(&error),
    };
    match failure.meaning {
        Meaning::Exists if number == 1 => Ok(Created::Exists),
        Meaning::Exists => {
            let is_ours = holds(store, path, &content).await?;
            Ok(if is_ours { Created::New } else { Created::Exists })
        }
        // Neither S3 nor a folder says so of a write.
        Meaning::NotFound => Err(Failure::new(Meaning::Unavailable, failure.reason)),
        _ => Err(failure),
    }
}

async fn holds(store: &dyn ObjectStore, path: &Path, content: &Bytes) -> Result<bool, Failure> {
    let read = async {
        let found = store.get(path).await?;
        if found.meta.size != content.len() as u64 {
            return Ok(false);
        }
        Ok(found.bytes().await? == content)
    };
    read.await.map_err(|error: object_store::Error| {
        let failure = Failure::of(&error);
        match failure.meaning {
            // Somebody removed it meanwhile, so writing it may succeed now.
            Meaning::NotFound => Failure::new(Meaning::Unavailable, "it was removed while it was written"),
            _ => failure,
        }
    })
}
