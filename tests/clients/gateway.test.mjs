// The official libraries for AI providers, unchanged but for their base URL, against the gateway: each over all three kinds of upstream.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { Agent, OpenAIProvider, Runner, tool as agentTool } from '@openai/agents';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';
import { Person, startServer } from './server.mjs';
import { Upstream } from './upstream.mjs';

const PYTHON = process.env.NATTER_TEST_GATEWAY_PYTHON;
const KINDS = ['openai', 'gemini', 'anthropic'];
const TOOL = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const ASK = [{ role: 'user', content: 'Hello?' }];

let server;
let key;
const upstreams = {};

before(async () => {
  const settings = {};
  for (const kind of KINDS) {
    upstreams[kind] = await Upstream.start(kind);
    const prefix = `AI__PROVIDERS__${kind.toUpperCase()}__`;
    Object.assign(settings, {
      [`${prefix}KIND`]: kind,
      [`${prefix}BASE_URL`]: upstreams[kind].url,
      [`${prefix}KEYS`]: 'key-one',
      [`${prefix}MODELS`]: `${kind}-model`,
    });
  }
  server = await startServer(settings);
  const person = await Person.signUp(server.url, 'Anna');
  const created = await person.call('POST', '/r1/api_keys', { name: 'Tests', scopes: ['gateway'] });
  key = created.key;
});

after(async () => {
  await Promise.all([server?.stop(), ...Object.values(upstreams).map((upstream) => upstream.stop())]);
});

const openai = (options = {}) => new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key, maxRetries: 0, ...options });
const anthropic = (options = {}) => new Anthropic({ baseURL: server.url, authToken: key, maxRetries: 0, ...options });

for (const kind of KINDS) {
  const model = `${kind}-model`;

  describe(`openai (Node) over ${kind}`, () => {
    test('a plain answer', async () => {
      await upstreams[kind].then('answer Hello there, Anna.');
      const answer = await openai().chat.completions.create({ model, messages: ASK });
      assert.equal(answer.choices[0].message.content, 'Hello there, Anna.');
      assert.equal(answer.choices[0].finish_reason, 'stop');
      assert.ok(answer.usage.total_tokens > 0);
    });

    test('a stream, with its usage', async () => {
      await upstreams[kind].then('answer One two three.');
      const stream = openai().chat.completions.stream({ model, messages: ASK, stream_options: { include_usage: true } });
      let text = '';
      for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? '';
      assert.equal(text, 'One two three.');
      assert.ok((await stream.totalUsage()).total_tokens > 0);
    });

    test('tools, there and back', async () => {
      await upstreams[kind].then('tool weather {"city":"Hanoi"}');
      await upstreams[kind].then('answer It is hot.');
      const runner = openai().chat.completions.runTools({
        model,
        stream: true,
        messages: ASK,
        tools: [
          {
            type: 'function',
            function: { name: 'weather', parameters: TOOL, parse: JSON.parse, function: ({ city }) => `Hot in ${city}.` },
          },
        ],
      });
      assert.equal(await runner.finalContent(), 'It is hot.');
      assert.match(JSON.stringify(await upstreams[kind].last()), /Hot in Hanoi\./);
    });

    test('an answer that fails in the middle', async () => {
      await upstreams[kind].then('fail One two ');
      await assert.rejects(async () => {
        const stream = await openai().chat.completions.create({ model, messages: ASK, stream: true });
        for await (const chunk of stream) assert.ok(chunk.id);
      }, OpenAI.APIError);
    });

    test('responses: plain, streamed, with a tool', async () => {
      await upstreams[kind].then('answer Plain.');
      const plain = await openai().responses.create({ model, input: 'Hello?' });
      assert.equal(plain.output_text, 'Plain.');
      await upstreams[kind].then('answer One two three.');
      const stream = openai().responses.stream({ model, input: 'Hello?' });
      const kinds = [];
      for await (const event of stream) kinds.push(event.type);
      assert.equal((await stream.finalResponse()).output_text, 'One two three.');
      assert.equal(kinds[0], 'response.created');
      assert.equal(kinds.at(-1), 'response.completed');
      await upstreams[kind].then('tool weather {"city":"Hue"}');
      const tools = [{ type: 'function', name: 'weather', parameters: TOOL, strict: false }];
      const called = await openai().responses.create({ model, input: 'Hello?', tools });
      const [call] = called.output.filter(({ type }) => type === 'function_call');
      assert.deepEqual(JSON.parse(call.arguments), { city: 'Hue' });
    });
  });

  describe(`@anthropic-ai/sdk over ${kind}`, () => {
    test('a plain answer and a stream', async () => {
      await upstreams[kind].then('answer Hello there.');
      const answer = await anthropic().messages.create({ model, max_tokens: 100, messages: ASK });
      assert.deepEqual([answer.content[0].text, answer.stop_reason], ['Hello there.', 'end_turn']);
      await upstreams[kind].then('answer One two three.');
      const stream = anthropic().messages.stream({ model, max_tokens: 100, messages: ASK });
      const final = await stream.finalMessage();
      assert.equal(final.content[0].text, 'One two three.');
      assert.ok(final.usage.output_tokens > 0);
    });

    test('tools in a stream', async () => {
      await upstreams[kind].then('tool weather {"city":"Hanoi"}');
      const tools = [{ name: 'weather', input_schema: TOOL }];
      const final = await anthropic().messages.stream({ model, max_tokens: 100, messages: ASK, tools }).finalMessage();
      const [use] = final.content.filter(({ type }) => type === 'tool_use');
      assert.deepEqual([use.name, use.input, final.stop_reason], ['weather', { city: 'Hanoi' }, 'tool_use']);
      await upstreams[kind].then('answer It is hot.');
      const messages = [
        ...ASK,
        { role: 'assistant', content: final.content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'Hot in Hanoi.' }] },
      ];
      const answer = await anthropic().messages.create({ model, max_tokens: 100, messages, tools });
      assert.equal(answer.content[0].text, 'It is hot.');
      assert.match(JSON.stringify(await upstreams[kind].last()), /Hot in Hanoi\./);
    });

    test('tokens are counted and errors are told apart', async () => {
      const counted = await anthropic().messages.countTokens({ model, messages: ASK });
      assert.ok(counted.input_tokens > 0);
      await upstreams[kind].then('fail One two ');
      await assert.rejects(
        anthropic().messages.stream({ model, max_tokens: 100, messages: ASK }).finalMessage(),
        Anthropic.APIError,
      );
    });
  });

  describe(`Vercel ai over ${kind}`, () => {
    const tools = { weather: tool({ inputSchema: z.object({ city: z.string() }), execute: ({ city }) => `Hot in ${city}.` }) };
    const models = {
      'openai-compatible': () => createOpenAICompatible({ name: 'natter', baseURL: `${server.url}/v1`, apiKey: key })(model),
      openai: () => createOpenAI({ baseURL: `${server.url}/v1`, apiKey: key })(model),
    };
    for (const [name, make] of Object.entries(models)) {
      test(`${name}: plain, streamed, tools`, async () => {
        await upstreams[kind].then('answer Hello there.');
        assert.equal((await generateText({ model: make(), prompt: 'Hello?', maxRetries: 0 })).text, 'Hello there.');
        await upstreams[kind].then('answer One two three.');
        const stream = streamText({ model: make(), prompt: 'Hello?', maxRetries: 0 });
        let text = '';
        for await (const part of stream.textStream) text += part;
        assert.equal(text, 'One two three.');
        await upstreams[kind].then('tool weather {"city":"Hanoi"}');
        await upstreams[kind].then('answer It is hot.');
        const answer = await generateText({ model: make(), prompt: 'Hello?', tools, stopWhen: stepCountIs(3), maxRetries: 0 });
        assert.equal(answer.text, 'It is hot.');
      });
    }
  });

  test(`openai-agents over ${kind}: a tool by /v1/responses`, async () => {
    await upstreams[kind].then('tool weather {"city":"Hanoi"}');
    await upstreams[kind].then('answer It is hot.');
    const weather = agentTool({
      name: 'weather',
      description: 'The weather of a city',
      parameters: z.object({ city: z.string() }),
      execute: ({ city }) => `Hot in ${city}.`,
    });
    const agent = new Agent({ name: 'Weather', instructions: 'Be brief.', model, tools: [weather] });
    const modelProvider = new OpenAIProvider({ openAIClient: openai(), useResponses: true });
    const result = await new Runner({ modelProvider, tracingDisabled: true }).run(agent, 'How is it in Hanoi?');
    assert.equal(result.finalOutput, 'It is hot.');
    assert.match(JSON.stringify(await upstreams[kind].last()), /Hot in Hanoi\./);
  });
}

test('models are listed for both libraries', async () => {
  const listed = [];
  for await (const { id } of openai().models.list()) listed.push(id);
  for (const kind of KINDS) assert.ok(listed.includes(`${kind}-model`), `${listed}`);
  assert.equal((await openai().models.retrieve('gemini-model')).id, 'gemini-model');
  const others = [];
  for await (const { id } of anthropic().models.list()) others.push(id);
  assert.deepEqual(others.sort(), listed.sort());
  assert.equal((await anthropic().models.retrieve('gemini-model')).id, 'gemini-model');
});

test('embeddings, as each library asks for them', async () => {
  const { data } = await openai().embeddings.create({ model: 'openai-model', input: ['one', 'two'] });
  assert.deepEqual(data.map(({ index, embedding }) => [index, ...embedding]), [[0, 0.5, -1, 2], [1, 0.5, -1, 2]]);
  const floats = await openai().embeddings.create({ model: 'openai-model', input: 'one', encoding_format: 'float' });
  assert.deepEqual(floats.data[0].embedding, [0.5, -1, 2]);
});

test('speech is written down', async () => {
  const file = new File([new Uint8Array(100)], 'speech.wav', { type: 'audio/wav' });
  const { text } = await openai().audio.transcriptions.create({ model: 'openai-model', file });
  assert.equal(text, 'What was said.');
});

test('errors are of the classes that programs catch', async () => {
  const ask = (client, model = 'openai-model') => client.chat.completions.create({ model, messages: ASK });
  await assert.rejects(ask(openai({ apiKey: 'nk_nobody' })), OpenAI.AuthenticationError);
  await assert.rejects(ask(openai(), 'no-such-model'), (error) => error instanceof OpenAI.NotFoundError && error.code === 'model_not_found');
  await assert.rejects(openai().chat.completions.create({ model: 'openai-model', messages: 'none' }), OpenAI.BadRequestError);
  const say = (client, model = 'openai-model') => client.messages.create({ model, max_tokens: 10, messages: ASK });
  await assert.rejects(say(anthropic({ authToken: 'nk_nobody' })), Anthropic.AuthenticationError);
  await assert.rejects(say(anthropic(), 'no-such-model'), Anthropic.NotFoundError);
  const byKey = new Anthropic({ baseURL: server.url, apiKey: key, authToken: null, maxRetries: 0 });
  await upstreams.openai.then('answer By x-api-key.');
  assert.equal((await say(byKey)).content[0].text, 'By x-api-key.');
});

test('a provider that is busy is asked again by the library after the wait that it named', async () => {
  await upstreams.openai.then('refuse 429 1');
  await upstreams.openai.then('answer Now.');
  const answer = await openai({ maxRetries: 2 }).chat.completions.create({ model: 'openai-model', messages: ASK });
  assert.equal(answer.choices[0].message.content, 'Now.');
});

test('openai and anthropic (Python) do the same', { skip: !PYTHON && 'NATTER_TEST_GATEWAY_PYTHON is not set' }, async () => {
  for (const kind of KINDS) {
    for (const line of [
      'answer Hello there.',
      'answer One two three.',
      'tool weather {"city":"Hanoi"}',
      'answer Plain.',
      'answer One two three.',
      'answer Hello there.',
      'answer One two three.',
      'fail One two ',
    ]) {
      await upstreams[kind].then(line);
    }
    const script = new URL('gateway.py', import.meta.url).pathname;
    const child = spawn(PYTHON, [script, server.url, key, `${kind}-model`], { stdio: ['ignore', 'inherit', 'inherit'] });
    const [code] = await once(child, 'exit');
    assert.equal(code, 0, kind);
  }
});
