// Runs coding agents, as published on npm and PyPI, in a loop that runs a command and writes a file, over each kind of provider and over servers that
// refuse what they don't know. The test fails if a real provider would reject a request.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Person, startServer } from '../clients/server.mjs';
import { answer, callTools, thinking } from '../clients/upstream.mjs';
import { PROVIDERS, Providers } from './provider.mjs';

/** Command without a substitution, which some agents refuse. */
const COMMAND = "printf 'natter-%s\\n' 42";
const PROMPT = 'Run it and write it down.';
const SAID = 'It printed natter-42.';
const NOTE = 'natter-42\n';
const RESULT = /"tool_result"|"functionResponse"|"role":"tool"|_call_output"/g;

let server;
let key;
let folder;
let providers;

/** Writes a file with JSON below a folder; returns its path. */
async function writeJson(home, path, value) {
  const file = join(home, path);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, JSON.stringify(value));
  return file;
}

/**
 * Agents: the program, its arguments, its environment given a home and a model, and the tool calls that run the command and write the note to a path. An
 * agent without tools gets the text that makes it write the file.
 */
const AGENTS = {
  'Claude Code': {
    program: 'claude',
    args: () => ['-p', PROMPT, '--allowedTools', 'Bash(printf:*)', 'Write', '--output-format', 'json'],
    env: (_, model) => ({
      ANTHROPIC_BASE_URL: server.url,
      ANTHROPIC_AUTH_TOKEN: key,
      ANTHROPIC_MODEL: model,
      ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    }),
    calls: (path) => [
      ['Bash', { command: COMMAND, description: 'Print it' }],
      ['Write', { file_path: path, content: NOTE }],
    ],
  },
  Codex: {
    program: 'codex',
    args: () => ['exec', '--skip-git-repo-check', '--sandbox', 'danger-full-access', '--json', PROMPT],
    env: async (home, model) => {
      const config = [
        `model = "${model}"`,
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
    },
    calls: (path) => [
      ['exec_command', { cmd: COMMAND }],
      ['exec_command', { cmd: `${COMMAND} > ${path}` }],
    ],
  },
  'Gemini CLI': {
    program: 'gemini',
    args: () => ['-p', PROMPT, '--yolo'],
    env: async (home, model) => {
      const settings = { security: { auth: { selectedType: 'gemini-api-key' } }, privacy: { usageStatisticsEnabled: false } };
      await writeJson(home, '.gemini/settings.json', settings);
      return { GEMINI_CLI_TRUST_WORKSPACE: 'true', GEMINI_API_KEY: key, GOOGLE_GEMINI_BASE_URL: server.url, GEMINI_MODEL: model };
    },
    calls: (path) => [
      ['run_shell_command', { command: COMMAND, description: 'Print it' }],
      ['write_file', { file_path: path, content: NOTE }],
    ],
  },
  'Qwen Code': {
    program: 'qwen',
    args: () => ['-p', PROMPT, '--yolo', '--auth-type', 'openai'],
    env: (_, model) => ({ OPENAI_API_KEY: key, OPENAI_BASE_URL: `${server.url}/v1`, OPENAI_MODEL: model }),
    calls: (path) => [
      ['run_shell_command', { command: COMMAND, description: 'Print it' }],
      ['write_file', { file_path: path, content: NOTE }],
    ],
  },
  opencode: {
    program: 'opencode',
    args: () => ['run', PROMPT],
    env: async (home, model) => {
      const provider = { npm: '@ai-sdk/openai-compatible', options: { baseURL: `${server.url}/v1`, apiKey: key }, models: { [model]: {} } };
      const config = { provider: { natter: provider }, model: `natter/${model}`, small_model: `natter/${model}`, autoupdate: false, share: 'disabled' };
      return { OPENCODE_CONFIG: await writeJson(home, 'opencode.json', config), OPENCODE_DISABLE_MODELS_FETCH: '1' };
    },
    calls: (path) => [
      ['bash', { command: COMMAND, description: 'Print it' }],
      ['write', { filePath: path, content: NOTE }],
    ],
  },
  Continue: {
    program: 'cn',
    args: (home) => ['-p', PROMPT, '--auto', '--config', join(home, 'config.yaml')],
    env: async (home, model) => {
      const entry = { name: model, provider: 'openai', model, apiBase: `${server.url}/v1`, apiKey: key, roles: ['chat', 'edit', 'apply'] };
      await writeJson(home, 'config.yaml', { name: 'Natter', version: '1.0.0', schema: 'v1', models: [entry] });
      return { CONTINUE_CLI_ENABLE_TELEMETRY: '0', CONTINUE_METRICS_ENABLED: '0' };
    },
    calls: (path) => [
      ['Bash', { command: COMMAND }],
      ['Write', { filepath: path, content: NOTE }],
    ],
  },
  aider: {
    program: process.env.NATTER_TEST_AIDER,
    args: (_, model) => [
      ...['--model', `openai/${model}`, '--message', PROMPT, '--yes-always', '--no-git', '--no-check-update', '--no-show-model-warnings'],
      ...['--no-show-release-notes', '--analytics-disable', '--no-detect-urls', 'note.txt'],
    ],
    env: () => ({ OPENAI_API_BASE: `${server.url}/v1`, OPENAI_API_KEY: key, LITELLM_LOCAL_MODEL_COST_MAP: 'True' }),
    text: `${SAID}\n\nnote.txt\n\`\`\`\n${NOTE}\`\`\`\n`,
  },
};

before(async () => {
  assert.ok(AGENTS.aider.program, 'NATTER_TEST_AIDER names the program');
  providers = await Providers.start(Object.keys(AGENTS));
  server = await startServer(providers.settings);
  const person = await Person.signUp(server.url, 'Anna');
  ({ key } = await person.call('POST', '/r1/api_keys', { name: 'Agents', scopes: ['gateway'] }));
  folder = await mkdtemp(join(tmpdir(), 'natter-agents-'));
});

after(async () => {
  await Promise.all([server?.stop(), providers?.stop()]);
  if (folder) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** Plays the model: makes the calls one after the other and then reports the result. A request without these tools is about something else. */
const play = (calls, text) => (body) => {
  const asked = JSON.stringify(body ?? null);
  const call = calls[asked.match(RESULT)?.length ?? 0];
  if (!call) return thinking('Hm.', answer(text));
  return asked.includes(`"${call[0]}"`) ? thinking('Hm.', callTools(call)) : answer('Hello.');
};

/** Runs an agent with a home and a working directory of its own and no standard input; returns its output. */
async function run({ program, args, env }, home, work, model) {
  const binary = program.includes('/') ? program : new URL(`node_modules/.bin/${program}`, import.meta.url).pathname;
  const own = await env(home, model);
  const child = spawn(binary, args(home, model), {
    cwd: work,
    env: { PATH: process.env.PATH, HOME: home, LANG: 'C.UTF-8', ...own },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  });
  const read = async (stream) => Buffer.concat(await stream.toArray()).toString();
  const ended = new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
  const [out, errors, code] = await Promise.all([read(child.stdout), read(child.stderr), ended]);
  assert.equal(code, 0, `${program} ended with ${code}:\n${out}\n${errors}`);
  return out;
}

/** Only Codex uses the Responses API, which `direct` has as well. `groq` is like `vllm` for an agent. */
const providersOf = (name) => PROVIDERS.filter((provider) => provider !== 'groq' && (provider !== 'direct' || name === 'Codex'));

for (const [name, agent] of Object.entries(AGENTS)) {
  describe(name, () => {
    for (const provider of providersOf(name)) {
      test(`runs a command and writes a file over ${provider}`, async () => {
        const home = await mkdtemp(join(folder, 'home-'));
        const work = join(home, 'work');
        await mkdir(work);
        const note = join(work, 'note.txt');
        if (!agent.calls) await writeFile(note, 'old\n');
        const calls = agent.calls?.(note) ?? [];
        const upstream = providers.upstreams[provider];
        const refused = providers.prepare(provider, play(calls, agent.text ?? SAID));
        const rejections = () => upstream.rejected.map(({ error }) => JSON.stringify(error)).join('\n');
        const out = await run(agent, home, work, providers.model(name, provider)).catch((error) => {
          error.message += `\nRefused: ${rejections()}`;
          throw error;
        });
        assert.ok(out.includes(SAID), `${out}\nRefused: ${rejections()}`);
        assert.equal(await readFile(note, 'utf8'), NOTE);
        const most = Math.max(...upstream.asked.map(({ body }) => JSON.stringify(body).match(RESULT)?.length ?? 0));
        assert.ok(most >= calls.length, 'the results reached the model');
        assert.deepEqual(refused, []);
      });
    }
  });
}
