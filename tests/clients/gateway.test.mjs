// Official client libraries of AI providers with only the base URL changed, against the gateway. Each is tested over all three kinds of providers.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { Agent, OpenAIProvider, Runner, tool as agentTool } from '@openai/agents';
import { APICallError, Output, embedMany, generateText, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { Person, startServer } from './server.mjs';
import { Upstream, answer, callTools, fail, refuse } from './upstream.mjs';

/** Python interpreter that has the Python libraries; undefined if they aren't tested. */
const PYTHON = process.env.NATTER_TEST_GATEWAY_PYTHON;
const KINDS = ['openai', 'gemini', 'anthropic'];
const CITY = z.object({ city: z.string() });
const TOOL = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const ASK = [{ role: 'user', content: 'Hello?' }];
const HANOI = ['weather', { city: 'Hanoi' }];
const HUE = ['weather', { city: 'Hue' }];
const PICTURE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

let server;
let person;
let key;
const upstreams = {};

before(async () => {
  const settings = {};
  // One provider of each kind answers. Others with names of their own reject requests, because a provider that has done so is not used for a while.
  for (const kind of KINDS) {
    for (const name of [kind, `${kind}x`, `${kind}y`]) {
      upstreams[name] = await Upstream.start(kind, name);
      Object.assign(settings, upstreams[name].settings);
    }
  }
  server = await startServer(settings);
  person = await Person.signUp(server.url, 'Anna');
  key = await newKey('gateway');
});

// Checks that all planned responses were requested. Clears the plans, so that a failed test doesn't affect the next one.
afterEach(() => {
  const left = Object.values(upstreams).flatMap((upstream) => upstream.clear());
  assert.deepEqual(left, []);
});

after(async () => {
  await Promise.all([server?.stop(), ...Object.values(upstreams).map((upstream) => upstream.stop())]);
});

const newKey = async (...scopes) => (await person.call('POST', '/r1/api_keys', { name: 'Tests', scopes })).key;
const openai = (options = {}) => new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key, maxRetries: 0, timeout: 60_000, ...options });
const anthropic = (options = {}) => new Anthropic({ baseURL: server.url, authToken: key, maxRetries: 0, timeout: 60_000, ...options });

for (const kind of KINDS) {
  const model = `${kind}-model`;
  const plan = (...planned) => upstreams[kind].plan(...planned);

  describe(`openai (Node) over ${kind}`, () => {
    test('returns an answer', async () => {
      plan(answer('Hello there, Anna.'));
      const got = await openai().chat.completions.create({ model, messages: ASK });
      assert.equal(got.choices[0].message.content, 'Hello there, Anna.');
      assert.equal(got.choices[0].finish_reason, 'stop');
      assert.deepEqual([got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens], [7, 3, 10]);
      assert.ok(got._request_id);
    });

    test('streams an answer with and without usage', async () => {
      plan(answer('One two three.'), answer('Four five.'));
      const stream = openai().chat.completions.stream({ model, messages: ASK, stream_options: { include_usage: true } });
      let text = '';
      for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? '';
      assert.equal(text, 'One two three.');
      assert.equal((await stream.totalUsage()).total_tokens, 10);
      const chunks = [];
      for await (const chunk of await openai().chat.completions.create({ model, messages: ASK, stream: true })) chunks.push(chunk);
      // Some programs expect a choice in every chunk, unless they have requested the usage.
      assert.ok(chunks.every(({ choices, usage }) => choices.length === 1 && !usage), JSON.stringify(chunks));
      assert.equal(chunks.map(({ choices: [{ delta }] }) => delta.content ?? '').join(''), 'Four five.');
    });

    test('runs tools and sends their results', async () => {
      plan(callTools(HANOI, HUE), answer('It is hot.'));
      const weather = { name: 'weather', parameters: TOOL, parse: JSON.parse, function: ({ city }) => `Hot in ${city}.` };
      const runner = openai().chat.completions.runTools({
        model,
        stream: true,
        messages: [{ role: 'system', content: 'Be brief.' }, ...ASK],
        tools: [{ type: 'function', function: weather }],
      });
      assert.equal(await runner.finalContent(), 'It is hot.');
      assert.match(upstreams[kind].last, /Be brief\./);
      assert.match(upstreams[kind].last, /Hot in Hanoi\..*Hot in Hue\./s);
    });

    test('returns tool calls without streaming', async () => {
      plan(callTools(HANOI, HUE));
      const tools = [{ type: 'function', function: { name: 'weather', parameters: TOOL } }];
      const { choices } = await openai().chat.completions.create({ model, messages: ASK, tools, tool_choice: 'required' });
      const calls = choices[0].message.tool_calls;
      assert.deepEqual(calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]), [HANOI, HUE]);
      assert.equal(new Set(calls.map(({ id }) => id)).size, 2);
      assert.equal(choices[0].finish_reason, 'tool_calls');
    });

    test('returns answers that match a schema', async () => {
      plan(answer('{"city":"Hue"}'), answer('{"city":"Hanoi"}'));
      const chat = await openai().chat.completions.parse({ model, messages: ASK, response_format: zodResponseFormat(CITY, 'city') });
      assert.deepEqual(chat.choices[0].message.parsed, { city: 'Hue' });
      const response = await openai().responses.parse({ model, input: 'Hello?', text: { format: zodTextFormat(CITY, 'city') } });
      assert.deepEqual(response.output_parsed, { city: 'Hanoi' });
    });

    test('passes pictures', async () => {
      plan(answer('A dot.'), answer('A dot.'));
      const url = `data:image/png;base64,${PICTURE}`;
      await openai().chat.completions.create({ model, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] });
      assert.ok(upstreams[kind].last.includes(PICTURE));
      const content = [{ type: 'input_image', detail: 'auto', image_url: url }];
      assert.equal((await openai().responses.create({ model, input: [{ role: 'user', content }] })).output_text, 'A dot.');
      assert.ok(upstreams[kind].last.includes(PICTURE));
    });

    test('reports an answer that fails midway', async () => {
      plan(fail('One two '), fail('One two '));
      let text = '';
      await assert.rejects(async () => {
        const stream = await openai().chat.completions.create({ model, messages: ASK, stream: true });
        for await (const chunk of stream) text += chunk.choices[0].delta.content ?? '';
      }, OpenAI.APIError);
      assert.equal(text, 'One two ');
      await assert.rejects(openai().responses.stream({ model, input: 'Hello?' }).finalResponse());
    });

    test('Responses API returns and streams an answer', async () => {
      plan(answer('Plain.'), answer('One two three.'));
      const plain = await openai().responses.create({ model, input: 'Hello?', instructions: 'Be brief.' });
      assert.deepEqual([plain.output_text, plain.status, plain.usage.total_tokens], ['Plain.', 'completed', 10]);
      assert.match(upstreams[kind].last, /Be brief\./);
      const stream = openai().responses.stream({ model, input: 'Hello?' });
      const events = [];
      for await (const event of stream) events.push(event);
      assert.equal((await stream.finalResponse()).output_text, 'One two three.');
      assert.deepEqual([events[0].type, events.at(-1).type], ['response.created', 'response.completed']);
      assert.deepEqual(events.map(({ sequence_number }) => sequence_number), [...events.keys()]);
      const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
      assert.equal(deltas.map(({ delta }) => delta).join(''), 'One two three.');
    });

    test('Responses API runs tools', async () => {
      plan(callTools(HANOI, HUE), answer('It is hot.'));
      const tools = [{ type: 'function', name: 'weather', parameters: TOOL, strict: true }];
      const input = [...ASK];
      const called = await openai().responses.stream({ model, input, tools }).finalResponse();
      const calls = called.output.filter(({ type }) => type === 'function_call');
      assert.deepEqual(calls.map((call) => [call.name, JSON.parse(call.arguments)]), [HANOI, HUE]);
      const outputs = calls.map(({ call_id, arguments: text }) => {
        return { type: 'function_call_output', call_id, output: `Hot in ${JSON.parse(text).city}.` };
      });
      const said = await openai().responses.create({ model, input: [...input, ...called.output, ...outputs], tools });
      assert.equal(said.output_text, 'It is hot.');
      assert.match(upstreams[kind].last, /Hot in Hanoi\..*Hot in Hue\./s);
    });
  });

  describe(`@anthropic-ai/sdk over ${kind}`, () => {
    const ask = { model, max_tokens: 100, messages: ASK };

    test('returns and streams an answer', async () => {
      plan(answer('Hello there.'), answer('One two three.'));
      const got = await anthropic().messages.create({ ...ask, system: 'Be brief.' });
      assert.deepEqual([got.content[0].text, got.stop_reason], ['Hello there.', 'end_turn']);
      assert.deepEqual([got.usage.input_tokens, got.usage.output_tokens], [7, 3]);
      assert.ok(got._request_id);
      assert.match(upstreams[kind].last, /Be brief\./);
      let text = '';
      const stream = anthropic().messages.stream(ask).on('text', (delta) => (text += delta));
      const final = await stream.finalMessage();
      assert.deepEqual([final.content[0].text, text, final.stop_reason], ['One two three.', text, 'end_turn']);
      assert.ok(final.usage.output_tokens > 0 && stream.request_id);
    });

    test('streams tool calls and takes their results', async () => {
      plan(callTools(HANOI, HUE), answer('It is hot.'));
      const tools = [{ name: 'weather', input_schema: TOOL }];
      const final = await anthropic().messages.stream({ ...ask, tools }).finalMessage();
      const uses = final.content.filter(({ type }) => type === 'tool_use');
      assert.deepEqual(uses.map(({ name, input }) => [name, input]), [HANOI, HUE]);
      assert.equal(final.stop_reason, 'tool_use');
      const results = uses.map(({ id, input }) => ({ type: 'tool_result', tool_use_id: id, content: `Hot in ${input.city}.` }));
      const messages = [...ASK, { role: 'assistant', content: final.content }, { role: 'user', content: results }];
      const got = await anthropic().messages.create({ ...ask, messages, tools });
      assert.equal(got.content[0].text, 'It is hot.');
      assert.match(upstreams[kind].last, /Hot in Hanoi\..*Hot in Hue\./s);
    });

    test('returns tool calls without streaming', async () => {
      plan(callTools(HANOI, HUE));
      const tools = [{ name: 'weather', input_schema: TOOL }];
      const { content, stop_reason } = await anthropic().messages.create({ ...ask, tools, tool_choice: { type: 'any' } });
      assert.deepEqual(content.map(({ type, name, input }) => [type, name, input]), [HANOI, HUE].map((call) => ['tool_use', ...call]));
      assert.equal(stop_reason, 'tool_use');
    });

    test('runs tools in the library, answers by a schema and passes a picture', async () => {
      plan(callTools(HANOI, HUE), answer('It is hot.'), answer('{"city":"Hue"}'), answer('A dot.'));
      const weather = betaZodTool({ name: 'weather', description: 'The weather', inputSchema: CITY, run: ({ city }) => `Hot in ${city}.` });
      const got = await anthropic().beta.messages.toolRunner({ ...ask, tools: [weather] });
      assert.equal(got.content[0].text, 'It is hot.');
      assert.match(upstreams[kind].last, /Hot in Hanoi\..*Hot in Hue\./s);
      const parsed = await anthropic().messages.parse({ ...ask, output_config: { format: zodOutputFormat(CITY) } });
      assert.deepEqual(parsed.parsed_output, { city: 'Hue' });
      const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PICTURE } };
      await anthropic().messages.create({ ...ask, messages: [{ role: 'user', content: [image] }] });
      assert.ok(upstreams[kind].last.includes(PICTURE));
    });

    test('counts tokens', async () => {
      const counted = await anthropic().messages.countTokens({ model, messages: ASK, system: 'Be brief.' });
      assert.ok(counted.input_tokens > 0);
    });

    test('reports an answer that fails midway', async () => {
      plan(fail('One two '));
      await assert.rejects(anthropic().messages.stream(ask).finalMessage(), Anthropic.APIError);
    });
  });

  describe(`Vercel ai over ${kind}`, () => {
    const tools = { weather: tool({ inputSchema: CITY, execute: ({ city }) => `Hot in ${city}.` }) };
    const own = () => createOpenAI({ baseURL: `${server.url}/v1`, apiKey: key });
    const models = {
      'openai-compatible': () =>
        createOpenAICompatible({ name: 'natter', baseURL: `${server.url}/v1`, apiKey: key, supportsStructuredOutputs: true })(model),
      'openai, responses': () => own()(model),
      'openai, chat': () => own().chat(model),
    };
    for (const [name, make] of Object.entries(models)) {
      const ask = () => ({ model: make(), prompt: 'Hello?', maxRetries: 0 });

      test(`${name}: returns, streams and structures an answer`, async () => {
        plan(answer('Hello there.'), answer('One two three.'), answer('{"city":"Hue"}'));
        const got = await generateText({ ...ask(), instructions: 'Be brief.' });
        assert.deepEqual([got.text, got.finishReason, got.usage.totalTokens], ['Hello there.', 'stop', 10]);
        const stream = streamText(ask());
        let text = '';
        for await (const part of stream.textStream) text += part;
        assert.equal(text, 'One two three.');
        assert.equal(await stream.finishReason, 'stop');
        const { output } = await generateText({ ...ask(), output: Output.object({ schema: CITY }) });
        assert.deepEqual(output, { city: 'Hue' });
      });

      test(`${name}: runs tools and sends their results`, async () => {
        for (const run of [generateText, streamText]) {
          plan(callTools(HANOI, HUE), answer('It is hot.'));
          assert.equal(await (await run({ ...ask(), tools, stopWhen: stepCountIs(3) })).text, 'It is hot.');
          assert.match(upstreams[kind].last, /Hot in Hanoi\..*Hot in Hue\./s);
        }
      });

      test(`${name}: reports an answer that fails midway`, async () => {
        plan(fail('One two '));
        const errors = [];
        await streamText({ ...ask(), onError: ({ error }) => errors.push(error) }).consumeStream();
        assert.equal(errors.length, 1, `${errors}`);
      });
    }
  });

  describe(`openai-agents over ${kind}`, () => {
    for (const [name, useResponses] of [['responses', true], ['chat completions', false]]) {
      for (const stream of [false, true]) {
        test(`runs tools by ${name}, ${stream ? 'streamed' : 'whole'}`, async () => {
          plan(callTools(HANOI, HUE), answer('It is hot.'));
          const execute = ({ city }) => `Hot in ${city}.`;
          const weather = agentTool({ name: 'weather', description: 'The weather of a city', parameters: CITY, execute });
          const agent = new Agent({ name: 'Weather', instructions: 'Be brief.', model, tools: [weather] });
          const modelProvider = new OpenAIProvider({ openAIClient: openai(), useResponses });
          const result = await new Runner({ modelProvider, tracingDisabled: true }).run(agent, 'How is it?', { stream });
          if (stream) await result.completed;
          assert.equal(result.finalOutput, 'It is hot.');
          assert.match(upstreams[kind].last, /Hot in Hanoi\..*Hot in Hue\./s);
        });
      }
    }
  });

  describe(`errors over ${kind}`, () => {
    const doors = (refusing, options = {}) => {
      const ask = { model: `${refusing}-model`, messages: ASK };
      return [
        [OpenAI, () => openai(options).chat.completions.create(ask)],
        [OpenAI, () => openai(options).chat.completions.create({ ...ask, stream: true })],
        [OpenAI, () => openai(options).responses.create({ model: ask.model, input: 'Hello?' })],
        [Anthropic, () => anthropic(options).messages.create({ ...ask, max_tokens: 100 })],
        [Anthropic, () => anthropic(options).messages.stream({ ...ask, max_tokens: 100 }).finalMessage()],
      ];
    };

    test('a request rejected by the provider raises BadRequestError', async () => {
      for (const [{ BadRequestError }, ask] of doors(`${kind}x`)) {
        upstreams[`${kind}x`].plan(refuse(400));
        await assert.rejects(ask, (error) => error instanceof BadRequestError && /refused by the test/.test(error.message));
      }
    });

    test('the library retries a busy provider after the named delay', async () => {
      const [[, ask]] = doors(`${kind}x`, { maxRetries: 2 });
      upstreams[`${kind}x`].plan(refuse(429, 1), answer('Now.'));
      assert.equal((await ask()).choices[0].message.content, 'Now.');
    });

    test('a provider that stays busy raises RateLimitError', async () => {
      upstreams[`${kind}y`].plan(refuse(429, 600));
      // The provider has only one key, so that is used again before the time that the provider has named.
      for (const [{ RateLimitError }, ask] of doors(`${kind}y`)) {
        await assert.rejects(ask, (error) => error instanceof RateLimitError && Number(error.headers.get('retry-after')) > 20);
      }
      const provider = createOpenAI({ baseURL: `${server.url}/v1`, apiKey: key });
      await assert.rejects(generateText({ model: provider(`${kind}y-model`), prompt: 'Hello?', maxRetries: 0 }), (error) => {
        return APICallError.isInstance(error) && error.statusCode === 429 && error.isRetryable;
      });
    });
  });
}

test('models are listed in the format of each library', async () => {
  const listed = [];
  for await (const { id } of openai().models.list()) listed.push(id);
  for (const kind of KINDS) assert.ok(listed.includes(`${kind}-model`), `${listed}`);
  assert.equal((await openai().models.retrieve('gemini-model')).id, 'gemini-model');
  const others = [];
  for await (const { id, type } of anthropic().models.list()) others.push(type === 'model' && id);
  assert.deepEqual(others.sort(), listed.sort());
  assert.equal((await anthropic().models.retrieve('gemini-model')).id, 'gemini-model');
  await assert.rejects(openai().models.retrieve('no-such-model'), OpenAI.NotFoundError);
  await assert.rejects(anthropic().models.retrieve('no-such-model'), Anthropic.NotFoundError);
});

test('embeddings are returned in the format of each library', async () => {
  const vector = [0.5, -1, 2];
  for (const model of ['openai-model', 'gemini-model']) {
    // Embeddings are base64 unless the request asks for numbers.
    const { data } = await openai().embeddings.create({ model, input: ['one', 'two'] });
    assert.deepEqual(data.map(({ index, embedding }) => [index, embedding]), [[0, vector], [1, vector]]);
    const floats = await openai().embeddings.create({ model, input: 'one', encoding_format: 'float' });
    assert.deepEqual(floats.data[0].embedding, vector);
    const settings = { name: 'natter', baseURL: `${server.url}/v1`, apiKey: key };
    for (const provider of [createOpenAICompatible(settings), createOpenAI(settings)]) {
      const { embeddings } = await embedMany({ model: provider.embeddingModel(model), values: ['one', 'two'], maxRetries: 0 });
      assert.deepEqual(embeddings, [vector, vector]);
    }
  }
});

test('speech is transcribed', async () => {
  const file = new File([new Uint8Array(100)], 'speech.wav', { type: 'audio/wav' });
  const { text } = await openai().audio.transcriptions.create({ model: 'openai-model', file });
  assert.equal(text, 'What was said.');
  const streamed = [];
  for await (const event of await openai().audio.transcriptions.create({ model: 'openai-model', file, stream: true })) streamed.push(event);
  assert.deepEqual(streamed.map(({ type }) => type), ['transcript.text.delta', 'transcript.text.done']);
  assert.equal(streamed.at(-1).text, 'What was said.');
  // A model that answers questions transcribes the recording.
  const segments = [{ start: 0, end: 1.5, text: 'What was said.' }];
  upstreams.gemini.plan(answer('What was said.'), answer(JSON.stringify(segments)));
  assert.equal((await openai().audio.transcriptions.create({ model: 'gemini-model', file })).text, 'What was said.');
  const verbose = await openai().audio.transcriptions.create({ model: 'gemini-model', file, response_format: 'verbose_json' });
  assert.deepEqual([verbose.text, verbose.segments[0].end], ['What was said.', 1.5]);
});

test('errors have the error class of each library', async () => {
  const weak = await newKey('read');
  const ask = (client, model = 'openai-model') => client.chat.completions.create({ model, messages: ASK });
  const say = (client, model = 'openai-model') => client.messages.create({ model, max_tokens: 10, messages: ASK });
  await assert.rejects(ask(openai({ apiKey: 'nk_nobody' })), OpenAI.AuthenticationError);
  await assert.rejects(ask(openai({ apiKey: weak })), OpenAI.PermissionDeniedError);
  await assert.rejects(ask(openai(), 'no-such-model'), (error) => error instanceof OpenAI.NotFoundError && error.code === 'model_not_found');
  const wrong = (error) => error instanceof OpenAI.BadRequestError && error.type === 'invalid_request_error';
  await assert.rejects(openai().chat.completions.create({ model: 'gemini-model', messages: 'none' }), wrong);
  await assert.rejects(openai().responses.create({ model: 'openai-model', input: 7 }), wrong);
  await assert.rejects(openai().embeddings.create({ model: 'openai-model', input: {} }), wrong);
  await assert.rejects(say(anthropic({ authToken: 'nk_nobody' })), Anthropic.AuthenticationError);
  await assert.rejects(say(anthropic({ authToken: weak })), Anthropic.PermissionDeniedError);
  await assert.rejects(say(anthropic(), 'no-such-model'), Anthropic.NotFoundError);
  await assert.rejects(say(anthropic({ authToken: null, apiKey: 'nk_nobody' })), Anthropic.AuthenticationError);
  await assert.rejects(anthropic().messages.create({ model: 'gemini-model', messages: 'none', max_tokens: 10 }), Anthropic.BadRequestError);
});

test('an API key is accepted in the x-api-key header', async () => {
  const byKey = anthropic({ apiKey: key, authToken: null });
  upstreams.openai.plan(answer('By x-api-key.'));
  const { content } = await byKey.messages.create({ model: 'openai-model', max_tokens: 10, messages: ASK });
  assert.equal(content[0].text, 'By x-api-key.');
});

test('libraries for Python behave the same', { skip: !PYTHON && 'NATTER_TEST_GATEWAY_PYTHON is not set' }, async () => {
  for (const kind of KINDS) {
    const [hello, counted] = [answer('Hello there.'), answer('One two three.')];
    const ofOpenai = [hello, counted, callTools(HANOI), answer('Plain.'), counted];
    const ofGoogle = [hello, counted, callTools(HANOI)];
    upstreams[kind].plan(...ofOpenai, ...ofGoogle, hello, counted, hello, counted, fail('One two '));
    const script = new URL('gateway.py', import.meta.url).pathname;
    const child = spawn(PYTHON, [script, server.url, key, `${kind}-model`], { stdio: ['ignore', 'inherit', 'inherit'] });
    const [code] = await once(child, 'exit');
    assert.equal(code, 0, kind);
  }
});
