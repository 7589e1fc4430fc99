// The other tabs of this browser that have the same page open: what one of them corrects, the others show at once.

const channel = new BroadcastChannel("transcription-corrections");

/**
 * Tell the other tabs: { job, segments, isSaved, wasSaved, version, tag }. wasSaved: this browser has just saved that version;
 * its text may have changed since.
 */
export const tell = (news) => channel.postMessage(news);

/** act: called with what another tab told. */
export const hear = (act) => channel.addEventListener("message", ({ data }) => act(data));
