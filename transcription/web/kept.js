// What this browser keeps for a job besides its name: the recording, and corrections that are not saved yet.

const DATABASE = "transcription";
const FILES = "files"; // { job, file, size, at }
const DRAFTS = "drafts"; // { job, segments, tag }
export const MAX_FILE_BYTES = 200e6;
export const MAX_ALL_BYTES = 1e9;

let opened = null;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      for (const store of [FILES, DRAFTS]) request.result.createObjectStore(store, { keyPath: "job" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/** Run one request on a store. otherwise: the result if the browser has no storage, or none left. */
async function run(store, mode, act, otherwise = null) {
  try {
    const transaction = (await database()).transaction(store, mode);
    const request = act(transaction.objectStore(store));
    transaction.commit?.(); // now, because a page that is being closed does not learn when the request is done
    return await new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result ?? otherwise);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  } catch {
    return otherwise; // private windows, a full disk: the page works without it
  }
}

/** The recording of a job, or null. */
export const fileOf = async (job) => (await run(FILES, "readonly", (store) => store.get(job)))?.file ?? null;

/** Keep the recording of a job. The oldest give way. Returns whether it is kept. */
export async function keepFile(job, file) {
  if (file.size > MAX_FILE_BYTES) return false;
  const all = await run(FILES, "readonly", (store) => store.getAll(), []);
  let bytes = file.size + all.reduce((sum, { size }) => sum + size, 0);
  for (const old of all.sort((a, b) => a.at - b.at)) {
    if (bytes <= MAX_ALL_BYTES) break;
    await run(FILES, "readwrite", (store) => store.delete(old.job));
    bytes -= old.size;
  }
  return (await run(FILES, "readwrite", (store) => store.put({ job, file, size: file.size, at: Date.now() }))) === job;
}

/** Corrections that were not saved, or null: { segments, tag }. tag: the ETag of the transcript that they correct. */
export const draftOf = (job) => run(DRAFTS, "readonly", (store) => store.get(job));
/** Keep corrections. Returns whether they are kept. */
export const keepDraft = async (job, segments, tag) => (await run(DRAFTS, "readwrite", (store) => store.put({ job, segments, tag }))) === job;
export const dropDraft = (job) => run(DRAFTS, "readwrite", (store) => store.delete(job));

/** Forget everything about a job. */
export async function forget(job) {
  await run(FILES, "readwrite", (store) => store.delete(job));
  await dropDraft(job);
}
