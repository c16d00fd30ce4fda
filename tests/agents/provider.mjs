// Providers of each kind for the tests of programs: the three whose requests are checked by rules.mjs, and the strict servers of strict.mjs.

import { Upstream } from '../clients/upstream.mjs';
import { refusals } from './rules.mjs';
import { STRICT, firstRefusal } from './strict.mjs';

/** Kinds of providers by name. */
const KINDS = { openai: 'openai', gemini: 'gemini', anthropic: 'anthropic', direct: 'openai' };
for (const name of Object.keys(STRICT)) KINDS[name] = name === 'mistral' ? 'mistral' : 'openai';

/** Provider that repeats the ids of tool calls in later answers. */
const REPEATING = 'vllm';

export const PROVIDERS = Object.keys(KINDS);
export const isStrict = (name) => name in STRICT;

/** Names of the models of all programs at a provider. Neutral, because some programs adapt their requests to a model by its name. */
const models = (programs, name) => programs.map((_, at) => `small-${at}-${PROVIDERS.indexOf(name)}`);

/** Providers that have a model for each program, so that what the gateway learns about a model comes from one program. */
export class Providers {
  upstreams = {};
  settings = {};
  #programs;

  static async start(programs) {
    const providers = new Providers();
    providers.#programs = programs;
    for (const name of PROVIDERS) {
      const upstream = await Upstream.start(KINDS[name], name, models(programs, name), name === REPEATING);
      providers.upstreams[name] = upstream;
      Object.assign(providers.settings, upstream.settings);
    }
    providers.settings.AI__PROVIDERS__DIRECT__RESPONSES = 'true';
    return providers;
  }

  model(program, name) {
    return models(this.#programs, name)[this.#programs.indexOf(program)];
  }

  /** Prepares a provider for a program. Returns a list that is filled with what a real provider of the three kinds would reject. */
  prepare(name, usual) {
    const upstream = this.upstreams[name];
    const refused = [];
    const isChat = (body, path) => body?.messages && !path.endsWith('/responses');
    upstream.asked.length = 0;
    upstream.rejected.length = 0;
    upstream.rules = isStrict(name) ? (body, path) => (isChat(body, path) ? firstRefusal(name, body) : undefined) : undefined;
    upstream.usual = (body, path) => {
      if (!isStrict(name) && body && !path.endsWith('/responses')) refused.push(...refusals(KINDS[name], body));
      return usual(body, path);
    };
    return refused;
  }

  async stop() {
    await Promise.all(Object.values(this.upstreams).map((upstream) => upstream.stop()));
  }
}
