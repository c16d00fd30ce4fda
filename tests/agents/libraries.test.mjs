// Uses libraries and the program `llm`, as published on npm and PyPI, over each kind of provider and over servers that refuse what they don't know. The
// test fails if a real provider would reject a request, or if the gateway doesn't remember what a refusal taught it.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Person, startServer } from '../clients/server.mjs';
import { answer, callTools, thinking } from '../clients/upstream.mjs';
import { LIBRARIES } from './libraries.mjs';
import { PROVIDERS, Providers } from './provider.mjs';

const PYTHON = process.env.NATTER_TEST_LIBRARIES_PYTHON;
const IN_PYTHON = ['langchain', 'langchain_responses', 'litellm', 'pydantic_ai', 'pydantic_ai_responses'];
const PROGRAMS = [...Object.keys(LIBRARIES), ...IN_PYTHON, 'llm'];
const REPORT = 'It has 31 degrees.';
const HUE = { city: 'Huế', degrees: 31 };

let server;
let key;
let folder;
let providers;
const workers = {};

before(async () => {
  assert.ok(PYTHON, 'NATTER_TEST_LIBRARIES_PYTHON names the Python that has the libraries');
  providers = await Providers.start(PROGRAMS);
  server = await startServer(providers.settings);
  const person = await Person.signUp(server.url, 'Anna');
  ({ key } = await person.call('POST', '/r1/api_keys', { name: 'Libraries', scopes: ['gateway'] }));
  folder = await mkdtemp(join(tmpdir(), 'natter-libraries-'));
});

after(async () => {
  for (const { child } of Object.values(workers)) child.stdin.end();
  await Promise.all([server?.stop(), providers?.stop()]);
  if (folder) await rm(folder, { recursive: true, force: true });
});

const environment = () => ({ PATH: process.env.PATH, HOME: folder, LANG: 'C.UTF-8', LITELLM_LOCAL_MODEL_COST_MAP: 'True' });

/** Does everything with a Python library once. */
async function usePython(library, model) {
  if (!workers[library]) {
    const args = ['-B', 'libraries.py', library, server.url, key];
    const child = spawn(PYTHON, args, { cwd: import.meta.dirname, env: environment(), stdio: ['pipe', 'pipe', 'inherit'] });
    workers[library] = { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
  }
  const { child, lines } = workers[library];
  child.stdin.write(`${model}\n`);
  const { value, done } = await lines.next();
  assert.ok(!done, `${library} ended`);
  assert.equal(JSON.parse(value).error, null);
}

/** Uses the program `llm`: an answer, a tool, an answer by a schema. */
async function useLlm(model) {
  const entry = { model_id: model, model_name: model, api_base: `${server.url}/v1`, api_key_name: 'natter', supports_tools: true, supports_schema: true };
  await writeFile(join(folder, 'extra-openai-models.yaml'), JSON.stringify([entry]));
  const llm = async (...args) => {
    const env = { ...environment(), LLM_USER_PATH: folder };
    const run = promisify(execFile)(join(PYTHON, '../llm'), ['-m', model, '--key', key, ...args], { env, timeout: 60_000 });
    run.child.stdin.end();
    return (await run).stdout.trim();
  };
  assert.equal(await llm('-s', 'You are terse.', 'Say hello.'), 'Hello there.');
  assert.equal(await llm('--no-stream', '-c', 'Say hello.'), 'Hello there.');
  const weather = 'def weather(city: str) -> str:\n    "Temperature of a city"\n    return "31 degrees"';
  assert.equal(await llm('--functions', weather, 'Weather in Huế?'), REPORT);
  assert.deepEqual(JSON.parse(await llm('--schema', 'city, degrees int', 'Describe Huế.')), HUE);
}

/** Plays the model: greets, calls the tool and reports its result, or describes the city as requested. */
function play(body) {
  const text = JSON.stringify(body);
  const tools = (body.tools ?? []).flatMap((tool) => tool.functionDeclarations ?? [tool.function ?? tool]);
  const thoughts = (planned) => thinking('Hm.', planned);
  if (/"tool_result"|"functionResponse"|"role":"tool"|_call_output"/.test(text)) return thoughts(answer(REPORT));
  if (text.includes('Describe Huế')) return thoughts(tools.length > 0 ? callTools([tools[0].name, HUE]) : answer(JSON.stringify(HUE)));
  if (text.includes('Weather in Huế')) return thoughts(callTools(['weather', { city: HUE.city }]));
  return thoughts(answer('Hello there.'));
}

/** Providers that a program is used with. `llm` takes seconds to start. */
const providersOf = (program) => (program === 'llm' ? ['openai', 'anthropic', 'mistral', 'vllm', 'responses'] : PROVIDERS);

function use(program, model) {
  if (program === 'llm') return useLlm(model);
  return IN_PYTHON.includes(program) ? usePython(program, model) : LIBRARIES[program](server.url, key, model);
}

for (const program of PROGRAMS) {
  describe(program, () => {
    for (const name of providersOf(program)) {
      test(`answers, streams, calls a tool and fills a schema over ${name}`, async () => {
        const model = providers.model(program, name);
        const { rejected } = providers.upstreams[name];
        const refused = providers.prepare(name, play);
        const messages = () => rejected.splice(0).map(({ error }) => JSON.stringify(error));
        await use(program, model).catch((error) => {
          error.message += `\nRefused: ${messages().join('\n')}`;
          throw error;
        });
        messages();
        await use(program, model);
        assert.deepEqual(messages(), [], 'what the refusals taught is remembered');
        assert.deepEqual(refused, []);
      });
    }
  });
}
