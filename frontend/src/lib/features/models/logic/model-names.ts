/** Names of models: by which names a model is known, and which models answer questions. */
import type { Model } from '#lib/api/assistants.ts';

/** Parts of the names of models that embed, speak, transcribe, draw or classify, and can’t answer questions. */
const OTHER_PURPOSES =
  /embed|rerank|moderation|whisper|transcribe|text-to-speech|dall-?e|imagen|gpt-image|image-gen|stable-?diffusion|(?:^|[^a-z])(?:tts|stt|asr|bge|e5|gte|flux|sdxl|sora|veo|realtime)(?:[^a-z]|$)/i;

/** Whether a name means this model: its name, one of its aliases, or its name after that of its provider. */
export function isNamed({ name, aliases, provider }: Model, wanted: string): boolean {
  return name === wanted || !!aliases?.includes(wanted) || (!!provider && `${provider}/${name}` === wanted);
}

/** Whether a model answers questions. The server doesn't know the purpose of a model, so its name decides. */
export function answersQuestions({ name, is_default, capabilities }: Model): boolean {
  if (is_default || capabilities?.tools || capabilities?.reasoning) return true;
  return !OTHER_PURPOSES.test(name);
}
