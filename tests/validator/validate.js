// Answers, one JSON line for one JSON line, what the official OpenActive
// validators say of a document or of a walk through an RPDE feed. It decides
// nothing about severity and never reaches the network: what the validators
// would download comes from stubs/.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const readline = require('readline');

const { validate } = require('@openactive/data-model-validator');
const { FeedPageChecker } = require('@openactive/rpde-validator');

// Whatever is not among the stubs is answered as unreachable, at once.
const axios = require('axios');
axios.get = async (url) => { throw new Error(`offline: ${url}`); };

// Far enough ahead that the validator's cache never thinks a stub is stale.
const NEVER_STALE = Date.UTC(2100, 0, 1);

function seedCache(directory) {
  const stubs = path.join(__dirname, 'stubs');
  for (const name of fs.readdirSync(stubs).filter((n) => n.endsWith('.json'))) {
    const { url, data } = JSON.parse(fs.readFileSync(path.join(stubs, name), 'utf8'));
    const key = crypto.createHash('sha256').update(url).digest('hex');
    fs.writeFileSync(path.join(directory, `${key}.json`), JSON.stringify({
      errorCode: 'error_none',
      statusCode: 200,
      url,
      exception: null,
      contentType: 'application/ld+json',
      fetchTime: NEVER_STALE,
      data,
    }));
  }
}

const cache = fs.mkdtempSync(path.join(os.tmpdir(), 'openactive-validator-'));
process.on('exit', () => fs.rmSync(cache, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
seedCache(cache);

const brief = ({
  severity, category, type, path: where, message,
}) => ({
  severity, category, type, path: where, message,
});

// The options of the OpenActive Test Suite's broker and tests.
async function checkDocument(document, mode) {
  const errors = await validate(document, {
    loadRemoteJson: true,
    remoteJsonCachePath: cache,
    remoteJsonCacheTimeToLive: 3600,
    validationMode: mode,
  });
  return errors.map(brief);
}

// One checker for all pages, because some of its rules compare a page with the
// pages before it. It returns failures only, as the broker uses it.
function checkFeed(pages, isOrdersFeed) {
  const checker = new FeedPageChecker();
  return pages.flatMap((page, pageIndex) => checker.validateRpdePage({
    url: page.url,
    json: page.json,
    pageIndex,
    contentType: page.contentType,
    cacheControl: page.cacheControl || undefined,
    status: page.status,
    isInitialHarvestComplete: false,
    isOrdersFeed,
  }).map((error) => ({ ...brief(error), path: page.url })));
}

async function answer(line) {
  const request = JSON.parse(line);
  if (request.pages) return checkFeed(request.pages, Boolean(request.orders));
  return checkDocument(request.document, request.mode);
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let reply;
    try {
      reply = { errors: await answer(line) };
    } catch (error) {
      reply = { crash: String((error && error.stack) || error) };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

main();
