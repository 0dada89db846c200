// SPDX-License-Identifier: Apache-2.0
// node wordpress.js CHROMIUM URL FILE: installs a WordPress, logs in, publishes a post, reads it under
// its pretty URL, and uploads a file. Says what came of it as JSON.
'use strict';
const { chromium } = require('playwright-core');

const NAME = 'ada', PASSWORD = 'open sesame 7 times';

async function install(page, base) {
    await page.goto(`${base}/`);
    await page.waitForSelector('#weblog_title');
    await page.fill('#weblog_title', 'Blog under test');
    await page.fill('#user_login', NAME);
    await page.fill('#pass1', PASSWORD);
    await page.fill('#admin_email', 'ada@example.com');
    const weak = page.locator('input[name=pw_weak]');
    if (await weak.isVisible()) {
        await weak.check();
    }
    await page.click('#submit');
    await page.waitForSelector('text=Success!');
    return true;
}

async function login(page, base, password) {
    await page.goto(`${base}/wp-login.php`);
    // The page sets the focus by itself a moment later; what is typed would go where it does not belong.
    await page.waitForFunction(() => document.activeElement.id === 'user_login');
    await page.fill('#user_login', NAME);
    await page.fill('#user_pass', password);
    await page.click('#wp-submit');
    await page.waitForSelector('#wpadminbar, #login_error');
    return page.locator('#wpadminbar').isVisible();
}

// -> the path of the post
async function write(page, base) {
    await page.goto(`${base}/wp-admin/post-new.php`);
    await page.waitForFunction(() => window.wp && wp.data && wp.data.select('core/editor') &&
        wp.data.select('core/editor').getCurrentPostId());
    // The guide for beginners opens whenever it likes.
    await page.addLocatorHandler(page.locator('.components-modal__screen-overlay'),
        () => page.keyboard.press('Escape'));
    await page.click('.editor-post-title__input');
    await page.keyboard.type('Written in a browser');
    await page.keyboard.press('Enter');
    await page.keyboard.type('with <b>no</b> bold & äöü');
    await page.click('.editor-post-publish-panel__toggle');
    await page.click('.editor-post-publish-button');
    await page.waitForSelector('.post-publish-panel__postpublish-buttons a, .components-snackbar a');
    const link = await page.evaluate(() => wp.data.select('core/editor').getPermalink());
    return new URL(link).pathname;
}

// -> the path of the file
async function upload(page, base, file) {
    await page.goto(`${base}/wp-admin/media-new.php`);
    await page.waitForSelector('input[type=file][id^=html5]', { state: 'attached' });
    await page.setInputFiles('input[type=file][id^=html5]', file);
    await page.waitForSelector('.media-item .edit-attachment', { timeout: 120000 });
    await page.goto(`${base}/wp-admin/upload.php?mode=list`);
    await page.click('.row-title, .title a');
    await page.waitForSelector('#attachment_url');
    return new URL(await page.inputValue('#attachment_url')).pathname;
}

(async () => {
    const [binary, base, file] = process.argv.slice(2);
    const browser = await chromium.launch({ executablePath: binary, headless: true,
        args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server',
            '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'] });
    const said = { failed: [] };
    const pending = new Set();
    let page;
    try {
        page = await (await browser.newContext()).newPage();
        page.setDefaultTimeout(90000);
        for (const [event, set] of [['request', true], ['requestfinished', false], ['requestfailed', false]]) {
            page.on(event, (request) => set ? pending.add(request.url()) : pending.delete(request.url()));
        }
        page.on('pageerror', (error) => console.error(String(error)));
        page.on('requestfailed', (request) => console.error(request.failure().errorText, request.url()));
        page.on('response', (answer) => {
            if (answer.status() >= 500) {
                said.failed.push(`${answer.status()} ${answer.url()}`);
            }
        });
        said.installed = await install(page, base);
        said.wrong_password = !(await login(page, base, 'guessed'));
        said.login = await login(page, base, PASSWORD);
        said.post = await write(page, base);
        said.upload = await upload(page, base, file);

        const reader = await (await browser.newContext()).newPage();
        await reader.goto(base + said.post);
        said.pretty = (await reader.textContent('body')).includes('with <b>no</b> bold & äöü');
        said.styles = await reader.evaluate(() => [...document.styleSheets].reduce(
            (sum, sheet) => sum + (sheet.href && !sheet.href.startsWith(location.origin) ? 0 :
                sheet.cssRules.length), 0) > 20);
        said.nowhere = (await reader.goto(`${base}/2001/01/01/nothing/`)).status();
        console.log(JSON.stringify(said));
    } catch (error) {
        console.error('at', page && page.url(), 'without an answer:', ...pending);
        throw error;
    } finally {
        await browser.close();
    }
})().catch((error) => {
    console.error(error);
    process.exit(1);
});
