'use strict';
// Draws /api/openapi.json. Everything is set as text, never as HTML: the document is data here too.
const main = document.querySelector('main');
const make = (tag, attributes, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, value);
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== ''));
  return element;
};
const code = (text) => make('code', {}, text);

/** Follows a reference inside the document. */
function follow(doc, node) {
  if (!node?.$ref) return node;
  return node.$ref.slice(2).split('/').reduce((at, part) => at?.[decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')], doc);
}
const nameOf = (ref) => ref.slice(ref.lastIndexOf('/') + 1);

/** A schema as a short type expression; references become links. */
function type(schema) {
  if (!schema) return ['anything'];
  if (schema.$ref) return [make('a', { href: `#schema-${nameOf(schema.$ref)}` }, nameOf(schema.$ref))];
  for (const [key, between] of [['oneOf', ' | '], ['anyOf', ' | '], ['allOf', ' & ']]) {
    if (schema[key]) return schema[key].flatMap((part, i) => (i ? [between, ...type(part)] : type(part)));
  }
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(' | ')];
  const kinds = [schema.type ?? 'anything'].flat();
  if (kinds.includes('array')) return ['[', ...type(schema.items), ']', kinds.includes('null') ? ' | null' : ''];
  if (kinds.includes('object') && schema.additionalProperties?.$ref) return ['{name: ', ...type(schema.additionalProperties), '}'];
  const bounds = [['minLength', 'from', 'characters'], ['maxLength', 'to', 'characters'], ['minimum', 'from', ''], ['maximum', 'to', '']]
    .filter(([key]) => schema[key] !== undefined).map(([key, word, unit]) => `${word} ${schema[key]}${unit ? ` ${unit}` : ''}`);
  return [[kinds.join(' | '), schema.format && `(${schema.format})`, ...bounds].filter(Boolean).join(' ')];
}

/** The members of an object schema as a table. */
function members(doc, given) {
  const schema = follow(doc, given);
  const parts = [...(schema?.allOf ?? []), ...(schema?.oneOf ?? []), ...(schema?.anyOf ?? [])];
  const rows = Object.entries(schema?.properties ?? {}).map(([name, member]) => make('tr', {},
    make('td', {}, code(name), schema.required?.includes(name) ? '' : make('span', { class: 'note' }, ' optional')),
    make('td', {}, ...type(member)), make('td', {}, member.description ?? follow(doc, member)?.description ?? '')));
  if (rows.length > 0) return make('table', {}, make('tbody', {}, rows));
  if (parts.length > 0 && !given.$ref) return make('div', {}, parts.map((part) => members(doc, part)));
  return make('p', {}, ...type(given.$ref ? schema : given));
}

function parameters(doc, operation) {
  const rows = (operation.parameters ?? []).map((one) => follow(doc, one)).map((one) => make('tr', {},
    make('td', {}, code(one.name), make('span', { class: 'note' }, ` ${one.in}${one.required ? '' : ', optional'}`)),
    make('td', {}, ...type(one.schema)), make('td', {}, one.description ?? '')));
  return rows.length > 0 ? [make('h4', {}, 'Parameters'), make('table', {}, make('tbody', {}, rows))] : [];
}

function content(doc, of) {
  return Object.entries(of?.content ?? {}).flatMap(([kind, { schema }]) => [
    make('p', { class: 'note' }, kind, schema?.$ref ? [': ', ...type(schema)] : ''),
    ...(kind.startsWith('application/problem') || !schema ? [] : [members(doc, schema)])]);
}

function responses(doc, operation) {
  return Object.entries(operation.responses ?? {}).flatMap(([status, given]) => {
    const response = follow(doc, given);
    const isProblem = Boolean(response.content?.['application/problem+json']);
    return [make('p', {}, make('strong', {}, status), ` ${response.description ?? ''}`), ...(isProblem ? [] : content(doc, response))];
  });
}

function operation(doc, path, method, one) {
  const isPublic = one.security?.some((way) => Object.keys(way).length === 0);
  const body = follow(doc, one.requestBody);
  const details = make('details', { id: one.operationId ?? `${method}${path}` },
    make('summary', {}, make('span', { class: 'method' }, method), code(path), make('span', {}, one.summary ?? ''),
      isPublic ? make('span', { class: 'note' }, 'public') : ''));
  // Drawn when it is opened: there are many, and most are never looked at.
  details.addEventListener('toggle', () => {
    if (details.childElementCount > 1) return;
    details.append(make('div', {}, make('p', {}, one.description ?? ''), parameters(doc, one),
      body ? [make('h4', {}, 'Body'), ...content(doc, body)] : [], make('h4', {}, 'Answers'), ...responses(doc, one)));
  });
  details.dataset.text = `${method} ${path} ${one.summary ?? ''} ${one.operationId ?? ''}`.toLowerCase();
  return details;
}

function draw(doc) {
  const filter = make('input', { type: 'search', placeholder: 'Find a route', 'aria-label': 'Find a route' });
  filter.addEventListener('input', () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const one of main.querySelectorAll('details[data-text]')) one.hidden = !words.every((word) => one.dataset.text.includes(word));
  });
  main.append(make('p', {}, doc.info.description ?? '', ' ', `Version ${doc.info.version}, `, make('a', { href: '/api/openapi.json' }, 'openapi.json')), filter);
  for (const tag of doc.tags) {
    const all = Object.entries(doc.paths).flatMap(([path, item]) => Object.entries(item)
      .filter(([, one]) => one.tags?.includes(tag.name)).map(([method, one]) => operation(doc, path, method, one)));
    if (all.length > 0) main.append(make('h2', { id: `tag-${tag.name}` }, tag.name), make('p', {}, tag.description ?? ''), ...all);
  }
  main.append(make('h2', { id: 'schemas' }, 'Schemas'), ...Object.entries(doc.components.schemas).map(([name, schema]) => {
    const details = make('details', { id: `schema-${name}` }, make('summary', {}, code(name)));
    details.append(make('div', {}, make('p', {}, schema.description ?? ''), members(doc, schema)));
    return details;
  }));
  show();
}

/** Opens what the address points at. */
function show() {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id.startsWith('problem-') ? document.getElementById('schema-Problem') : document.getElementById(id);
  if (target) { target.open = true; target.scrollIntoView(); }
}
addEventListener('hashchange', show);
fetch('/api/openapi.json').then((answer) => answer.json()).then(draw, (error) => main.append(make('p', { role: 'alert' }, `The document could not be read: ${error.message}`)));
