/** Records voice messages from the microphone, with a level meter and a waveform. */
import type { ChosenFile } from '../attachments.svelte.ts';
import { peaksOf } from './waveform.ts';

/** Audio formats in order of preference. MP4 comes first, because every browser can play it. */
const TYPES = ['audio/mp4;codecs=mp4a.40.2', 'audio/webm;codecs=opus', 'audio/mp4'];
const LEVEL_EVERY = 50;
/** Number of levels that the meter shows. */
const MAX_LEVELS = 60;
export const MAX_RECORDING_MS = 10 * 60 * 1_000;
/** Minimum duration of a recording, in milliseconds. */
const SHORTEST = 500;

export type Refusal = 'denied' | 'missing' | 'failed';

export class Recorder {
  state = $state<'asking' | 'recording' | 'done' | 'refused'>('asking');
  refusal = $state<Refusal>('failed');
  milliseconds = $state(0);
  /** Latest levels of the microphone, from 0 to 255. */
  levels = $state.raw<readonly number[]>([]);
  recording = $state.raw<ChosenFile | null>(null);

  readonly #all: number[] = [];
  readonly #pieces: Blob[] = [];
  #stream: MediaStream | undefined;
  #context: AudioContext | undefined;
  #recorder: MediaRecorder | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #isClosed = false;
  #isTaken = false;
  readonly #name: () => string;

  constructor(name: () => string) {
    this.#name = name;
  }

  async start(): Promise<void> {
    try {
      // Browsers offer the microphone only on HTTPS pages and on localhost.
      if (!navigator.mediaDevices) return this.#refuse('missing');
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      this.#stream = stream;
      if (this.#isClosed) return this.#release();
      this.#listen(stream);
      this.#record(stream);
      this.state = 'recording';
    } catch (error) {
      this.#release();
      const name = error instanceof DOMException ? error.name : '';
      this.#refuse(name === 'NotAllowedError' ? 'denied' : name === 'NotFoundError' ? 'missing' : 'failed');
    }
  }

  stop(): void {
    if (this.#recorder?.state === 'recording') this.#recorder.stop();
  }

  /** Stops recording. Returns the recording; null if it is too short. */
  async finish(): Promise<ChosenFile | null> {
    if (this.state === 'recording') {
      const ended = new Promise<void>((resolve) => this.#recorder?.addEventListener('stop', () => resolve()));
      this.stop();
      await ended;
    }
    return this.recording;
  }

  /** Returns the recording to send it and removes it here, so that it is sent only once. */
  async takeRecording(): Promise<ChosenFile | null> {
    const recording = await this.finish();
    if (!recording || this.#isTaken) return null;
    this.#isTaken = true;
    return recording;
  }

  close(): void {
    this.#isClosed = true;
    this.stop();
    this.#release();
  }

  #refuse(why: Refusal): void {
    this.refusal = why;
    this.state = 'refused';
  }

  #listen(stream: MediaStream): void {
    const context = new AudioContext();
    this.#context = context;
    const analyser = context.createAnalyser();
    analyser.fftSize = 1_024;
    context.createMediaStreamSource(stream).connect(analyser);
    const wave = new Float32Array(analyser.fftSize);
    const begun = performance.now();
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(wave);
      const level = Math.sqrt(wave.reduce((sum, value) => sum + value * value, 0) / wave.length);
      this.#all.push(level);
      // Speech is quiet, so the level is amplified to use the height of the meter.
      this.levels = [...this.levels, Math.min(255, Math.round(Math.sqrt(level) * 400))].slice(-MAX_LEVELS);
      this.milliseconds = performance.now() - begun;
      if (this.milliseconds >= MAX_RECORDING_MS) this.stop();
    }, LEVEL_EVERY);
  }

  #record(stream: MediaStream): void {
    const type = TYPES.find((one) => MediaRecorder.isTypeSupported(one));
    const recorder = new MediaRecorder(stream, type ? { mimeType: type } : undefined);
    this.#recorder = recorder;
    recorder.ondataavailable = ({ data }) => this.#pieces.push(data);
    recorder.onstop = () => this.#finishRecording(recorder.mimeType);
    recorder.start(1_000);
  }

  #finishRecording(mimeType: string): void {
    this.#release();
    const media_type = mimeType.split(';', 1)[0] || 'audio/webm';
    const blob = new Blob(this.#pieces, { type: media_type });
    const name = `${this.#name()}.${media_type === 'audio/mp4' ? 'm4a' : 'webm'}`;
    const isSomething = this.milliseconds >= SHORTEST && blob.size > 0;
    const voice = { peaks: peaksOf(this.#all), duration_ms: Math.round(this.milliseconds) };
    this.recording = isSomething ? { blob, picked: { name, media_type, size: blob.size, voice } } : null;
    this.state = 'done';
  }

  #release(): void {
    clearInterval(this.#timer);
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = undefined;
    void this.#context?.close();
    this.#context = undefined;
  }
}
