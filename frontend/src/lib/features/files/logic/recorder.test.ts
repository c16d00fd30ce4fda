import { describe, expect, it } from 'vitest';
import type { ChosenFile } from '../attachments.svelte.ts';
import { Recorder } from './recorder.svelte.ts';

describe('Recorder', () => {
  it('sends a recording once, even if pressed twice', async () => {
    const recorder = new Recorder(() => 'voice');
    const recording: ChosenFile = {
      blob: new Blob(['a']),
      picked: { name: 'voice', media_type: 'audio/mp4', size: 1 }
    };
    recorder.recording = recording;
    recorder.state = 'done';
    expect(await Promise.all([recorder.takeRecording(), recorder.takeRecording()])).toEqual([recording, null]);
    // The recording stays, so that it can still be transcribed.
    expect(await recorder.finish()).toBe(recording);
  });
});
