// Calls the service with the types that openapi-typescript made of its API document: node program.js ADDRESS RECORDING.
// Prints what was answered as one JSON object.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };

type Schemas = components["schemas"];
const [, , address = "", recording = ""] = process.argv;
const client = createClient<paths>({ baseUrl: address });

function form(body: Record<string, unknown>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(body)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item instanceof Blob) data.append(name, item, "talk.mp3");
      else data.append(name, String(item));
    }
  }
  return data;
}

function need<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`no ${what}`);
  return value;
}

async function main(): Promise<void> {
  const { readFile } = await import("node:fs/promises" as string);
  // The generated type of a binary field is string.
  const file = new Blob([await readFile(recording)]) as unknown as string;

  const health = await client.GET("/health");
  const plain = await client.POST("/transcribe", { body: { file, temperature: 0 }, bodySerializer: form });
  const transcript = need(plain.data, "transcript") as Schemas["TranscriptionResponse"];

  const verbose = await client.POST("/v1/audio/transcriptions", {
    body: {
      file,
      model: "whisper-1",
      response_format: "verbose_json",
      "timestamp_granularities[]": ["word", "segment"],
    },
    bodySerializer: form,
  });
  const details = need(verbose.data, "details") as Schemas["OpenAIVerboseTranscription"];

  const subtitles = await client.POST("/transcribe", {
    body: { file, response_format: "srt" },
    bodySerializer: form,
    parseAs: "text",
  });

  const job = await client.POST("/transcribe", { body: { file, async: true }, bodySerializer: form });
  const { job_id } = need(job.data, "job") as Schemas["JobAccepted"];
  let status: string = "queued";
  while (status === "queued" || status === "processing") {
    const answer = await client.GET("/status/{job_id}", { params: { path: { job_id } } });
    status = need(answer.data, "status").status;
    await new Promise((done) => setTimeout(done, 100));
  }
  const removed = await client.DELETE("/jobs/{job_id}", { params: { path: { job_id } } });

  const unknown = await client.GET("/v1/models/{model}", { params: { path: { model: "gpt-17" } } });
  const wrong = await client.POST("/transcribe", { body: { file, temperature: 7 }, bodySerializer: form });

  console.log(
    JSON.stringify({
      health: need(health.data, "health").status,
      text: transcript.text,
      segments: transcript.segments.length,
      language: details.language,
      words: details.words?.map((word) => word.word),
      subtitles: subtitles.data,
      status,
      removed: removed.data?.job_id === job_id,
      unknown: unknown.error?.error.code,
      wrong: wrong.error?.error,
    }),
  );
}

await main();
