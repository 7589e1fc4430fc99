// Transcribes a recording with OpenAI's client: node realtime.mjs ADDRESS PCM_FILE, in which samples are int16, 24 kHz.
// ADDRESS is https, because the client connects to nothing else. Prints the types of the events and the transcript.
import { readFile } from "node:fs/promises";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

const PIECE_BYTES = 4800; // 100 ms
const [, , address, recording] = process.argv;
const samples = await readFile(recording);
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "unused" });
const connection = await OpenAIRealtimeWS.create(client, { intent: "transcription" });
const types = [];

connection.on("event", (event) => types.push(event.type));
connection.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
connection.on("session.created", () => {
  const input = { transcription: { model: "gpt-4o-transcribe", language: "en" }, turn_detection: null };
  connection.send({ type: "session.update", session: { type: "transcription", audio: { input } } });
});
connection.on("session.updated", () => {
  for (let at = 0; at < samples.length; at += PIECE_BYTES) {
    const audio = samples.subarray(at, at + PIECE_BYTES).toString("base64");
    connection.send({ type: "input_audio_buffer.append", audio });
  }
  connection.send({ type: "input_audio_buffer.commit" });
});
connection.on("conversation.item.input_audio_transcription.completed", (event) => {
  console.log(JSON.stringify({ types, transcript: event.transcript }));
  connection.close();
});
