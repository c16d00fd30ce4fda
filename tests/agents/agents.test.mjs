// Runs coding agents, as published on npm, in a loop with one tool call, over each kind of provider. The test fails if a real provider would reject a
// request.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Person, startServer } from '../clients/server.mjs';
import { Upstream, answer, callTools } from '../clients/upstream.mjs';
import { refusals } from './rules.mjs';

const KINDS = ['openai', 'gemini', 'anthropic'];
/** Command without a substitution, which some agents refuse. */
const COMMAND = "printf 'natter-%s\\n' 42";
const PRINTED = 'natter-42';
const SAID = `It printed ${PRINTED}.`;

let server;
let key;
let folder;
const upstreams = {};

before(async () => {
  const settings = {};
  for (const name of [...KINDS, 'direct']) {
    upstreams[name] = await Upstream.start(name === 'direct' ? 'openai' : name, name);
    Object.assign(settings, upstreams[name].settings);
  }
  settings.AI__PROVIDERS__DIRECT__RESPONSES = 'true';
  server = await startServer(settings);
  const person = await Person.signUp(server.url, 'Anna');
  ({ key } = await person.call('POST', '/r1/api_keys', { name: 'Agents', scopes: ['gateway'] }));
  folder = await mkdtemp(join(tmpdir(), 'natter-agents-'));
});

after(async () => {
  await Promise.all([server?.stop(), ...Object.values(upstreams).map((upstream) => upstream.stop())]);
  if (folder) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** Whether a request has the result of a tool, in any format. Its text isn't compared, because some agents lose the output of a short command. */
const hasResult = (body) => /"tool_result"|"functionResponse"|"role":"tool"|_call_output"/.test(JSON.stringify(body));

/** Makes the fake provider call the tool once and then report the result. Returns a list that is filled with what a real provider would reject. */
function expectLoop(name, tool, input) {
  const refused = [];
  upstreams[name].asked.length = 0;
  upstreams[name].usual = (body, path) => {
    const text = JSON.stringify(body ?? null);
    if (body && !path.endsWith('/responses')) refused.push(...refusals(name, body));
    if (hasResult(body)) return answer(SAID);
    return text.includes(`"${tool}"`) ? callTools([tool, input]) : answer('Hello.');
  };
  return refused;
}

/** Runs a program with a home and a working directory of its own and no standard input; returns the lines of its output. */
async function run(program, args, env) {
  const home = await mkdtemp(join(folder, 'home-'));
  const work = join(home, 'work');
  await mkdir(work);
  const binary = new URL(`node_modules/.bin/${program}`, import.meta.url).pathname;
  const own = typeof env === 'function' ? await env(home) : env;
  const child = spawn(binary, args, {
    cwd: work,
    env: { PATH: process.env.PATH, HOME: home, LANG: 'C.UTF-8', ...own },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  });
  const read = async (stream) => Buffer.concat(await stream.toArray()).toString();
  const ended = new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
  const [out, errors, code] = await Promise.all([read(child.stdout), read(child.stderr), ended]);
  assert.equal(code, 0, `${program} ended with ${code}:\n${out}\n${errors}`);
  return out.trim().split('\n');
}

const askedWith = (name) => upstreams[name].asked.some(({ body }) => hasResult(body));

for (const kind of KINDS) {
  describe(`Claude Code over ${kind}`, () => {
    test('calls a tool and tells what came of it', async () => {
      const refused = expectLoop(kind, 'Bash', { command: COMMAND, description: 'Print it' });
      const args = ['-p', 'Run it.', '--allowedTools', 'Bash(printf:*)', '--output-format', 'json'];
      const lines = await run('claude', args, {
        ANTHROPIC_BASE_URL: server.url,
        ANTHROPIC_AUTH_TOKEN: key,
        ANTHROPIC_MODEL: `${kind}-model`,
        ANTHROPIC_DEFAULT_HAIKU_MODEL: `${kind}-model`,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      });
      const { is_error, result } = JSON.parse(lines.at(-1));
      assert.deepEqual([is_error, result], [false, SAID]);
      assert.ok(askedWith(kind), 'the result reached the model');
      assert.deepEqual(refused, []);
    });
  });
}

/** `direct`: a provider that supports the Responses API itself, so that requests pass through without translation. */
for (const name of [...KINDS, 'direct']) {
  describe(`Codex over ${name}`, () => {
    test('calls a tool and tells what came of it', async () => {
      const refused = expectLoop(name, 'exec_command', { cmd: COMMAND });
      const args = ['exec', '--skip-git-repo-check', '--sandbox', 'danger-full-access', '--json', 'Run it.'];
      const lines = await run('codex', args, async (home) => {
        const config = [
          `model = "${name}-model"`,
          'model_provider = "natter"',
          '[model_providers.natter]',
          'name = "Natter"',
          `base_url = "${server.url}/v1"`,
          'env_key = "NATTER_KEY"',
          'wire_api = "responses"',
          'request_max_retries = 0',
          'stream_max_retries = 0',
        ];
        await mkdir(join(home, '.codex'));
        await writeFile(join(home, '.codex', 'config.toml'), config.join('\n'));
        return { NATTER_KEY: key };
      });
      const events = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
      const items = events.filter(({ type }) => type === 'item.completed').map(({ item }) => item);
      const ran = items.find(({ type }) => type === 'command_execution');
      assert.deepEqual([ran?.exit_code, ran?.aggregated_output.trim()], [0, PRINTED]);
      assert.equal(items.findLast(({ type }) => type === 'agent_message')?.text, SAID);
      assert.ok(askedWith(name), 'the result reached the model');
      assert.deepEqual(refused, []);
    });
  });
}

/** Agents that print what the model says, by the tool that runs a command. */
const PRINTING = {
  'Gemini CLI': {
    program: 'gemini',
    args: ['-p', 'Run it.', '--yolo'],
    tool: 'run_shell_command',
    env: async (home, model) => {
      await mkdir(join(home, '.gemini'));
      await writeFile(
        join(home, '.gemini', 'settings.json'),
        JSON.stringify({ security: { auth: { selectedType: 'gemini-api-key' } }, privacy: { usageStatisticsEnabled: false } }),
      );
      return { GEMINI_CLI_TRUST_WORKSPACE: 'true', GEMINI_API_KEY: key, GOOGLE_GEMINI_BASE_URL: server.url, GEMINI_MODEL: model };
    },
  },
  'Qwen Code': {
    program: 'qwen',
    args: ['-p', 'Run it.', '--yolo', '--auth-type', 'openai'],
    tool: 'run_shell_command',
    env: (_, model) => ({ OPENAI_API_KEY: key, OPENAI_BASE_URL: `${server.url}/v1`, OPENAI_MODEL: model }),
  },
  opencode: {
    program: 'opencode',
    args: ['run', 'Run it.'],
    tool: 'bash',
    env: async (home, model) => {
      const provider = { npm: '@ai-sdk/openai-compatible', options: { baseURL: `${server.url}/v1`, apiKey: key }, models: { [model]: {} } };
      const config = { provider: { natter: provider }, model: `natter/${model}`, small_model: `natter/${model}`, autoupdate: false, share: 'disabled' };
      await writeFile(join(home, 'opencode.json'), JSON.stringify(config));
      return { OPENCODE_CONFIG: join(home, 'opencode.json'), OPENCODE_DISABLE_MODELS_FETCH: '1' };
    },
  },
};

for (const [name, { program, args, tool, env }] of Object.entries(PRINTING)) {
  for (const kind of KINDS) {
    test(`${name} over ${kind} calls a tool and tells what came of it`, async () => {
      const refused = expectLoop(kind, tool, { command: COMMAND, description: 'Print it' });
      const lines = await run(program, args, (home) => env(home, `${kind}-model`));
      assert.ok(lines.join('\n').includes(SAID), lines.join('\n'));
      assert.ok(askedWith(kind), 'the result reached the model');
      assert.deepEqual(refused, []);
    });
  }
}
