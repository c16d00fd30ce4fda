/** Replaces `$app/state` in tests of components, which run without the router. */
export const page = $state({
  url: new URL('http://localhost/'),
  params: {} as Record<string, string>,
  route: { id: null as string | null },
  status: 200,
  error: null,
  data: {},
  form: null,
  state: {} as { layers?: readonly string[] }
});
