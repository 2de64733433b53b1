// The chat page in a real browser, with a server whose answers the test writes, and at last with
// the binary.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "e2e/browser.h"
#include "e2e/fake_api.h"
#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

const json kUsage = {{"prompt_tokens", 1204},
                     {"completion_tokens", 318},
                     {"prompt_cache_hit_tokens", 1024},
                     {"completion_tokens_details", {{"reasoning_tokens", 200}}},
                     {"cost", 0.000437}};

// Answers of the page that is open, as its reader sees them.
constexpr const char* kLastText =
    "[...document.querySelectorAll('.answer > .prose')].at(-1).textContent.trim()";

class ChatPage : public testing::Test {
 protected:
  ~ChatPage() override {
    if (HasFailure()) return;
    for (const std::string& fault : browser_.faults()) ADD_FAILURE() << fault;
  }

  void Open() {
    browser_.Open(api_.address());
    browser_.WaitFor("document.getElementById('model').textContent === 'fake-r1'");
  }
  Asked& Ask(const std::string& text) {
    browser_.WaitFor("document.activeElement.id === 'prompt'");
    browser_.Type(text);
    browser_.Press("Enter");
    return api_.Next();
  }
  void Click(const std::string& selector) {
    browser_.WaitFor("document.querySelector(\"" + selector + "\") !== null");
    browser_.Evaluate("document.querySelector(\"" + selector + "\").click()");
  }
  void WaitForText(const std::string& text) {
    browser_.WaitFor(std::string(kLastText) + " === " + json(text).dump());
  }
  void WaitUntilWhole() { browser_.WaitFor("document.querySelector('[aria-busy=true]') === null"); }
  json Count(const std::string& selector) {
    return browser_.Evaluate("document.querySelectorAll(\"" + selector + "\").length");
  }
  std::string Text(const std::string& selector) {
    return browser_.Evaluate("document.querySelector(\"" + selector + "\").textContent");
  }

  TemporaryDirectory directory_;
  FakeApi api_;
  Browser browser_{directory_.path(), 1280, 860};
};

TEST_F(ChatPage, AnAnswerComesPieceByPiece) {
  Open();
  Asked& asked = Ask("What is 6 times 7?");
  EXPECT_EQ(asked.body["messages"], UserSays("What is 6 times 7?"));
  EXPECT_EQ(asked.body["stream"], true);
  EXPECT_EQ(asked.body["stream_options"]["include_usage"], true);
  EXPECT_FALSE(asked.body.contains("temperature"));
  browser_.WaitFor("document.querySelector('.waiting').textContent.startsWith('Reading')");
  asked.Say("Forty");
  WaitForText("Forty");
  EXPECT_EQ(Text("#send"), "");
  EXPECT_EQ(browser_.Evaluate("document.getElementById('send').title"), "Stop");
  asked.Say("-two.");
  WaitForText("Forty-two.");
  asked.End("stop", kUsage);
  browser_.WaitFor("document.querySelector('.numbers').textContent.includes('318 out')");
  const std::string numbers = Text(".numbers");
  for (const char* part :
       {"s to the first token", "tokens/s", "1,204 tokens in (1,024 cached)", "$0.000437"}) {
    EXPECT_NE(numbers.find(part), std::string::npos) << numbers;
  }
  EXPECT_EQ(browser_.Evaluate("document.getElementById('send').title"), "Send");
  // Who cannot see it has been told.
  browser_.WaitFor("document.getElementById('spoken').textContent.includes('Forty-two.')");
  // The next question has what was said before.
  Asked& second = Ask("And 7 times 8?");
  ASSERT_EQ(second.body["messages"].size(), 3u);
  EXPECT_EQ(second.body["messages"][1], (json{{"role", "assistant"}, {"content", "Forty-two."}}));
  second.Say("56");
  second.End("length");
  browser_.WaitFor("document.body.textContent.includes('Cut off')");
}

// Of an answer that ran out of tokens before it began one has to know why it is empty, and what to
// do.
TEST_F(ChatPage, ThoughtsWithoutAnAnswerAreExplained) {
  Open();
  Asked& asked = Ask("Think.");
  asked.Think("Hm.");
  asked.End("length", kUsage);
  WaitUntilWhole();
  EXPECT_NE(Text(".remark").find("ended while it was still thinking"), std::string::npos);
  browser_.Reload();
  browser_.WaitFor("document.querySelector('.thoughts')?.open");
  Click(".remark button");
  browser_.WaitFor("document.activeElement.id === 'set-max_tokens'");
  // It goes on from its thoughts.
  Click(".go-on");
  Asked& more = api_.Next();
  EXPECT_EQ(
      more.body["messages"][1],
      (json{
          {"role", "assistant"}, {"content", ""}, {"reasoning_content", "Hm."}, {"prefix", true}}));
  more.Say("So.");
  more.End();
  WaitForText("So.");
  WaitUntilWhole();
  EXPECT_EQ(Count(".remark:not([hidden])"), 0);
}

TEST_F(ChatPage, StopEndsTheRequestAndKeepsTheText) {
  Open();
  Asked& asked = Ask("Count.");
  asked.Say("One, two");
  WaitForText("One, two");
  Click("#send");
  EXPECT_TRUE(asked.AwaitGone());
  browser_.WaitFor("document.querySelector('.remark').textContent === 'Stopped'");
  WaitForText("One, two");
  // What it took by then.
  EXPECT_EQ(
      browser_.Evaluate(R"(/^stopped after [\d.]+ s · [\d.]+ s to the first token · 1 token out$/)"
                        ".test(document.querySelector('.numbers').textContent)"),
      true)
      << Text(".numbers");
  // It can go on from there.
  Click(".go-on");
  Asked& more = api_.Next();
  EXPECT_EQ(more.body["messages"][1],
            (json{{"role", "assistant"}, {"content", "One, two"}, {"prefix", true}}));
  more.Say(", three");
  WaitForText("One, two, three");
  // Escape stops, too.
  browser_.Press("Escape");
  EXPECT_TRUE(more.AwaitGone());
  browser_.WaitFor("document.querySelector('.remark').textContent === 'Stopped'");
}

TEST_F(ChatPage, AReloadKeepsTheChat) {
  Open();
  Asked& first = Ask("Hello");
  first.Think("They greet.");
  first.Say("Hello **you**.");
  first.End("stop", kUsage);
  WaitUntilWhole();
  Asked& second = Ask("Tell me more");
  second.Say("It was a dark");
  WaitForText("It was a dark");
  browser_.Reload();
  EXPECT_TRUE(second.AwaitGone());
  WaitForText("It was a dark");
  EXPECT_EQ(Count(".answer strong"), 1);
  EXPECT_EQ(Count(".question"), 2);
  EXPECT_EQ(browser_.Evaluate("document.querySelector('.thoughts').open"), false);
  EXPECT_NE(Text(".thoughts summary").find("200 tokens"), std::string::npos);
  EXPECT_NE(Text(".answer:last-child .remark").find("Interrupted"), std::string::npos);
  // It is in the list of chats, from where it can be deleted, and that undone.
  EXPECT_EQ(Text("#chats li .title"), "Hello");
  Click("#chats li .actions");
  Click(".menu .remove");
  EXPECT_EQ(Count("#chats li"), 0);
  EXPECT_EQ(Count(".message"), 0);
  Click(".notice button");
  EXPECT_EQ(Count("#chats li"), 1);
  Click("#chats li a");
  browser_.WaitFor("document.querySelectorAll('.message').length === 4");
}

TEST_F(ChatPage, WhatAModelWritesIsText) {
  Open();
  Asked& asked = Ask("Attack.");
  const std::string attack =
      "<script>window.__hit = 1</script>\n\n<img src=x onerror=\"window.__hit = 2\">\n\n"
      "[a](javascript:window.__hit=3) [b](JaVaScRiPt:window.__hit=3) [c](data:text/html,x) "
      "[d](vbscript:x) <a href=\"javascript:window.__hit=4\">e</a> "
      "![f](https://example.com/f.png)\n\n"
      "<svg onload=\"window.__hit = 5\"><script>window.__hit = 6</script></svg>\n\n"
      "<style>body { display: none }</style>\n\n<iframe srcdoc=\"<script>parent.__hit = "
      "7</script>\">"
      "</iframe>\n\n<form action=\"https://example.com\"><input name=q></form>\n\n"
      "<div style=\"position: fixed\" onclick=\"window.__hit = 8\" id=composer>x</div>\n\n"
      "| <script>window.__hit = 9</script> | <b onmouseover=\"window.__hit = 10\">x</b> "
      "|\n|---|---|\n| 1 | 2 |\n\n"
      "```html\n<script>window.__hit = 11</script>\n```\n\n"
      "`<img src=x onerror=window.__hit=12>` $\\href{javascript:window.__hit=13}{x}$ "
      "$\\htmlStyle{position: fixed}{x}$ $\\includegraphics{https://example.com/g.png}$ "
      "<math><mtext></math><img src=x onerror=window.__hit=14>\n\n[g]: "
      "javascript:window.__hit=15\n\n[g] "
      "<https://example.com/> mail <javascript:window.__hit=16>\n\n"
      "```x\" onclick=\"window.__hit=17\ncode\n```\n";
  // Also where it breaks in the middle of what it is.
  for (size_t at = 0; at < attack.size(); at += 7) asked.Say(attack.substr(at, 7));
  asked.Say("\n\nThe end.");
  asked.Think(attack);
  asked.End();
  WaitUntilWhole();
  browser_.WaitFor("document.querySelector('.answer > .prose').textContent.includes('The end.')");
  // Whatever can be touched is.
  browser_.Evaluate(
      "document.querySelectorAll('.answer .prose :not(a, button, button *)').forEach((one) => { "
      "for (const type of ['click', "
      "'mouseover', 'load', 'error']) one.dispatchEvent(new Event(type)); })");
  EXPECT_EQ(browser_.Evaluate("window.__hit === undefined"), true);
  for (const char* selector :
       {"script", "img", "iframe", "style", "form", "input", "object", "embed", "base", "meta",
        "[onerror]", "[onclick]", "[onload]", "[srcdoc]", "[id]", "[style*=fixed]"}) {
    EXPECT_EQ(Count(".answer " + std::string(selector)), 0) << selector;
  }
  const json links = browser_.Evaluate(
      "[...document.querySelectorAll('.answer a[href]')].map((a) => a.href + ' ' + a.rel + ' ' + "
      "a.target)");
  EXPECT_GT(links.size(), 0u);
  for (const std::string link : links) {
    EXPECT_EQ(link.rfind("https://example.com/", 0), 0u) << link;
    EXPECT_TRUE(link.ends_with(" noopener noreferrer _blank")) << link;
  }
  // And it can be read.
  EXPECT_NE(Text(".answer > .prose").find("<script>window.__hit = 1</script>"), std::string::npos);
  EXPECT_NE(browser_.Evaluate("getComputedStyle(document.body).display"), "none");
}

TEST_F(ChatPage, MarkdownCodeAndMathematics) {
  Open();
  Asked& asked = Ask("Show me.");
  asked.Say(
      "# Title\n\nA *b* **c** ~~d~~ `e`: $a^2 + b^2 = c^2$, and it costs $5 or $10.\n\n"
      "1. one\n2. two\n   - three\n\n- [x] done\n\n| x | y |\n|---|--:|\n| 1 | 2 |\n\n> quoted\n\n"
      "\\[ \\int_0^1 x^2 \\, dx = \\frac{1}{3} \\]\n\n$$\n\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 "
      "\\end{pmatrix}\n$$\n\n```python\ndef f(x):\n\treturn x * 2  # "
      "twice\n```\n\n[link](https://example.com/)\n\n"
      "See [ref].\n\n[ref]: https://example.com/ref\n\n$\\nonsense{$ end.\n");
  // What is not finished shows as it is so far.
  browser_.WaitFor("document.querySelectorAll('.answer > .prose h3').length === 1");
  asked.End();
  WaitUntilWhole();
  browser_.WaitFor("document.querySelectorAll('.answer .hljs').length === 1");
  browser_.WaitFor("document.querySelectorAll('.answer .katex').length === 3");
  EXPECT_EQ(Count(".answer .katex-display"), 2);
  EXPECT_EQ(Count(".answer math"), 3);
  EXPECT_EQ(Count(".answer .hljs-keyword"), 2);
  EXPECT_EQ(Count(".answer li"), 4);
  EXPECT_EQ(Count(".answer td"), 2);
  EXPECT_EQ(Count(".answer blockquote"), 1);
  EXPECT_EQ(Count(".answer > .prose a[href='https://example.com/']"), 1);
  EXPECT_NE(Text(".answer > .prose").find("it costs $5 or $10."), std::string::npos);
  // Tabs stay tabs, which a copy needs.
  EXPECT_EQ(Text(".answer pre"), "def f(x):\n\treturn x * 2  # twice\n");
  Click(".code-head button");
  browser_.WaitFor("document.querySelector('.code-head button').title === 'Copied'");
  // Formulas have the fonts that they are made for.
  browser_.WaitFor(
      "[...document.fonts].some((font) => font.family === 'KaTeX_Main' && font.status === "
      "'loaded')");
}

// Blocks that are finished are left alone, so that a long answer is not made again for each token.
TEST_F(ChatPage, FinishedBlocksStay) {
  Open();
  Asked& asked = Ask("Long.");
  std::string text;
  for (int i = 0; i < 50; ++i) text += "Paragraph " + std::to_string(i) + "\n\n";
  asked.Say(text);
  browser_.WaitFor("document.querySelectorAll('.answer > .prose p').length === 50");
  browser_.Evaluate("document.querySelector('.answer > .prose p').mark = true");
  asked.Say("- a\n\n- b\n\nThe last one.");
  browser_.WaitFor("document.querySelector('.answer > .prose').textContent.includes('last')");
  asked.End();
  WaitUntilWhole();
  EXPECT_EQ(browser_.Evaluate("document.querySelector('.answer > .prose p').mark"), true);
  EXPECT_EQ(Count(".answer > .prose ul"), 1);
  EXPECT_EQ(Count(".answer > .prose .running"), 0);
}

TEST_F(ChatPage, ThoughtsOpenAndClose) {
  Open();
  Asked& asked = Ask("Think.");
  asked.Think("First I look");
  browser_.WaitFor("document.querySelector('.thoughts').open");
  asked.Think(" at it.");
  browser_.WaitFor(
      "/^Thinking · [\\d.]+ s · 2 tokens · [\\d.,]+ tokens\\/s$/.test(document.querySelector('."
      "thoughts summary').textContent)");
  browser_.WaitFor(
      "document.querySelector('.thoughts-body').textContent.trim() === 'First I look at it.'");
  asked.Say("Now.");
  browser_.WaitFor("!document.querySelector('.thoughts').open");
  browser_.WaitFor(
      "/^Thought for [\\d.]+ s, 2 tokens$/.test(document.querySelector('.thoughts "
      "summary').textContent)");
  asked.End("stop", kUsage);
  browser_.WaitFor(
      "document.querySelector('.thoughts summary').textContent.endsWith(', 200 tokens')");
  // Who has opened it keeps it open.
  Asked& second = Ask("Again.");
  second.Think("Hm.");
  browser_.WaitFor("document.querySelectorAll('.thoughts')[1].open");
  browser_.Evaluate(
      "{ const s = document.querySelectorAll('.thoughts summary')[1]; s.click(); s.click(); }");
  second.Say("So.");
  second.End();
  WaitUntilWhole();
  EXPECT_EQ(browser_.Evaluate("document.querySelectorAll('.thoughts')[1].open"), true);
}

TEST_F(ChatPage, RetryAndEditKeepWhatWasThere) {
  Open();
  Ask("First").End();
  WaitUntilWhole();
  Asked& answered = Ask("Second");
  answered.Say("Two");
  answered.End();
  WaitUntilWhole();
  Click(".answer:last-child .retry");
  Asked& again = api_.Next();
  EXPECT_EQ(again.body["messages"], answered.body["messages"]);
  again.Say("Three");
  again.End();
  WaitUntilWhole();
  WaitForText("Three");
  EXPECT_EQ(Text(".answer:last-child .which"), "2 / 2");
  Click(".answer:last-child .previous");
  WaitForText("Two");
  EXPECT_EQ(Text(".answer:last-child .which"), "1 / 2");
  // Another question in the place of the first: what followed is another version.
  Click(".question .edit");
  browser_.WaitFor("document.activeElement.tagName === 'TEXTAREA'");
  browser_.Evaluate("document.activeElement.select()");
  browser_.Type("Other");
  browser_.Press("Enter");
  Asked& other = api_.Next();
  EXPECT_EQ(other.body["messages"], UserSays("Other"));
  other.Say("Anew");
  other.End();
  WaitUntilWhole();
  EXPECT_EQ(Count(".message"), 2);
  EXPECT_EQ(Text(".question .which"), "2 / 2");
  Click(".question .previous");
  WaitForText("Two");
  EXPECT_EQ(Count(".message"), 4);
  browser_.Reload();
  WaitForText("Two");
}

TEST_F(ChatPage, AsksForTheKeyThatTheServerWants) {
  api_.WantKey("sk-secret");
  browser_.Open(api_.address());
  browser_.WaitFor("document.getElementById('key-dialog').open");
  browser_.WaitFor("document.activeElement.id === 'key'");
  browser_.Type("sk-wrong");
  browser_.Press("Enter");
  browser_.WaitFor(
      "document.getElementById('key-dialog').textContent.includes('This key is not known.')");
  browser_.WaitFor("document.activeElement.id === 'key' && document.activeElement.value === ''");
  browser_.Type("sk-secret");
  browser_.Press("Enter");
  browser_.WaitFor("document.getElementById('model').textContent === 'fake-r1'");
  browser_.Evaluate("document.getElementById('prompt').focus()");
  EXPECT_EQ(Ask("Hello").authorization, "Bearer sk-secret");
  // It is this tab's, and not the browser's.
  EXPECT_EQ(browser_.Evaluate("localStorage.getItem('fathom.key')"), nullptr);
  browser_.Reload();
  browser_.WaitFor("document.getElementById('model').textContent === 'fake-r1'");
  // One that is taken away in between is asked for again, and the question with it.
  api_.WantKey("sk-new");
  browser_.WaitFor("document.activeElement.id === 'prompt'");
  browser_.Type("Again");
  browser_.Press("Enter");
  browser_.WaitFor("document.getElementById('key-dialog').open");
  browser_.WaitFor("document.activeElement.id === 'key'");
  browser_.Type("sk-new");
  browser_.Press("Enter");
  Asked& asked = api_.Next();
  EXPECT_EQ(asked.authorization, "Bearer sk-new");
  EXPECT_EQ(asked.body["messages"].back()["content"], "Again");
}

TEST_F(ChatPage, SaysWhyAndWhenItCanBeTriedAgain) {
  Open();
  Ask("Now").Refuse(429, "too many requests wait", {{"Retry-After", "7"}});
  browser_.WaitFor(
      "/^Not now. Too many requests wait\\.It.*again in [1-7][^\\d]/"
      ".test(document.querySelector('.answer .failure').textContent)");
  Click(".failure button");
  Asked& again = api_.Next();
  EXPECT_EQ(again.body["messages"], UserSays("Now"));
  again.Say("Yes.");
  again.End();
  WaitForText("Yes.");
  EXPECT_EQ(Count(".failure:not([hidden])"), 0);
  EXPECT_EQ(Count(".versions"), 0);
  Ask("More").Refuse(400, "messages is empty");
  browser_.WaitFor(
      "document.querySelector('.answer:last-child .failure').textContent.startsWith('The "
      "server refused this (400). Messages is empty.')");
}

TEST_F(ChatPage, SettingsGoIntoTheRequest) {
  Open();
  Click("#show-settings");
  EXPECT_EQ(browser_.Evaluate("document.getElementById('set-temperature').placeholder"), "0.6");
  const auto set = [this](const std::string& id, const std::string& value) {
    browser_.Evaluate("{ const i = document.getElementById('" + id + "'); i.value = '" + value +
                      "'; i.dispatchEvent(new Event('input')); }");
  };
  set("set-system", "Be brief.");
  set("set-temperature", "0.25");
  set("set-seed", "7");
  set("set-thinking_budget", "100");
  set("set-top_p", "0.9");
  Click("[name=think][value=on]");
  browser_.Evaluate("document.getElementById('prompt').focus()");
  Asked& asked = Ask("Hello");
  EXPECT_EQ(asked.body["messages"][0], (json{{"role", "system"}, {"content", "Be brief."}}));
  EXPECT_EQ(asked.body["temperature"], 0.25);
  EXPECT_EQ(asked.body["seed"], 7);
  EXPECT_EQ(asked.body["thinking"]["type"], "enabled");
  EXPECT_EQ(asked.body["thinking_budget"], 100);
  EXPECT_EQ(asked.body["top_p"], 0.9);
  asked.End();
  WaitUntilWhole();
  browser_.Reload();
  browser_.WaitFor("document.getElementById('set-system').value === 'Be brief.'");
  EXPECT_EQ(browser_.Evaluate("document.getElementById('set-seed').value"), "7");
}

// What cannot be sent is not left out in silence.
TEST_F(ChatPage, SettingsThatCannotBeAreSaid) {
  Open();
  Click("#show-settings");
  browser_.Evaluate("document.getElementById('set-temperature').focus()");
  browser_.Type("-3");
  const char* described =
      "document.activeElement.getAttribute('aria-describedby').split(' ').map((id) => "
      "document.getElementById(id).textContent).join(' ')";
  const std::string said = browser_.Evaluate(described);
  EXPECT_EQ(said.find("Has to be a number from 0 to 100, or empty."), 0u) << said;
  EXPECT_EQ(browser_.Evaluate("document.activeElement.ariaInvalid"), "true");
  Click("#show-settings");
  browser_.Evaluate("document.getElementById('prompt').focus()");
  browser_.Type("Hello");
  browser_.Press("Enter");
  browser_.WaitFor(
      "document.querySelector('.notice')?.textContent === "
      "'Not sent: Temperature has to be a number from 0 to 100.'");
  EXPECT_EQ(Count(".message"), 0);
  EXPECT_EQ(browser_.Evaluate("document.getElementById('prompt').value"), "Hello");
  EXPECT_EQ(browser_.Evaluate("document.activeElement.id"), "set-temperature");
  browser_.Type("0.5");  // in the place of what was there
  EXPECT_EQ(browser_.Evaluate("document.activeElement.ariaInvalid"), "false");
  browser_.Evaluate("document.getElementById('prompt').focus()");
  browser_.Press("Enter");
  EXPECT_EQ(api_.Next().body["temperature"], 0.5);
}

TEST_F(ChatPage, ChatsAreRenamedAndExportedWithTheKeyboard) {
  Open();
  Asked& asked = Ask("Hello");
  asked.Think("They greet.\n\nI greet.");
  asked.Say("Hello **you**.");
  asked.End();
  WaitUntilWhole();
  const auto choose = [this](int entry) {
    browser_.Evaluate("document.querySelector('#chats .actions').focus()");
    browser_.Press("Enter");
    browser_.WaitFor("document.activeElement.getAttribute('role') === 'menuitem'");
    for (int i = 0; i < entry; ++i) browser_.Press("ArrowDown");
    browser_.Press("Enter");
  };
  choose(0);
  browser_.WaitFor("document.activeElement.ariaLabel === 'Title'");
  browser_.Type("A greeting");  // in the place of what was there
  browser_.Press("Enter");
  EXPECT_EQ(Text("#chats li .title"), "A greeting");
  EXPECT_EQ(browser_.Evaluate("document.title"), "A greeting · Fathom");
  choose(0);
  browser_.WaitFor("document.activeElement.ariaLabel === 'Title'");
  browser_.Type("Never");
  browser_.Press("Escape");
  EXPECT_EQ(Text("#chats li .title"), "A greeting");
  browser_.Reload();
  EXPECT_EQ(Text("#chats li .title"), "A greeting");
  // Files are what a link would save.
  browser_.Evaluate(
      "{ window.files = []; const make = URL.createObjectURL; URL.createObjectURL = (blob) => { "
      "files.push(blob); return make(blob); }; addEventListener('click', (event) => { if "
      "(!event.target.download) return; files.at(-1).fileName = event.target.download; "
      "event.preventDefault(); }); }");
  const auto exported = [&](int entry, int number) {
    choose(entry);
    browser_.WaitFor("window.files.length === " + std::to_string(number));
    return browser_.Evaluate("files.at(-1).text().then((text) => [files.at(-1).fileName, text])");
  };
  EXPECT_EQ(exported(1, 1),
            (json{"A-greeting.md",
                  "# A greeting\n\n## You\n\nHello\n\n## Answer\n\n> **Thoughts**\n>\n> They "
                  "greet.\n>\n> I greet.\n\nHello **you**.\n"}));
  const json file = exported(2, 2);
  EXPECT_EQ(file[0], "A-greeting.json");
  EXPECT_EQ(json::parse(file[1].get<std::string>()),
            (json{{"title", "A greeting"},
                  {"messages",
                   {{{"role", "user"}, {"content", "Hello"}},
                    {{"role", "assistant"},
                     {"content", "Hello **you**."},
                     {"reasoning_content", "They greet.\n\nI greet."}}}}}));
  // Esc closes the menu, and stops nothing.
  browser_.Evaluate("document.querySelector('#chats .actions').focus()");
  browser_.Press("Enter");
  browser_.WaitFor("document.querySelector('.menu') !== null");
  browser_.Press("Escape");
  EXPECT_EQ(Count(".menu"), 0);
  EXPECT_EQ(browser_.Evaluate("document.activeElement.className"), "icon actions");
}

// Half of a formula is no sight, and what follows a whole one is not lost.
TEST_F(ChatPage, FormulasShowWhenTheyAreWhole) {
  Open();
  Asked& asked = Ask("Formula.");
  asked.Say("So\n\n$$\n\\frac{1}{");
  browser_.WaitFor("document.querySelector('.answer .tex.open') !== null");
  EXPECT_EQ(Text(".answer > .prose").find("frac"), std::string::npos);
  asked.Say("2}\n$$\n\nand $$x$$ then\n\n$$5 is money");
  browser_.WaitFor("document.querySelectorAll('.answer .katex').length === 2");
  EXPECT_EQ(Count(".answer .tex.open"), 1);
  asked.Say("\n\nThe end.");
  browser_.WaitFor("document.querySelector('.answer > .prose').textContent.includes('The end.')");
  EXPECT_NE(Text(".answer > .prose").find("$$5 is money"), std::string::npos);
  asked.End();
  WaitUntilWhole();
  EXPECT_EQ(Count(".answer .tex.open"), 0);
}

// Dark and light, as the system wants or as the button says.
TEST_F(ChatPage, HasTwoSetsOfColours) {
  browser_.Open(api_.address());
  const char* background = "getComputedStyle(document.body).backgroundColor";
  browser_.PreferDark(false);
  const json light = browser_.Evaluate(background);
  browser_.PreferDark(true);
  const json dark = browser_.Evaluate(background);
  EXPECT_NE(light, dark);
  Click("#theme");
  EXPECT_EQ(browser_.Evaluate(background), light);
  browser_.Reload();
  EXPECT_EQ(browser_.Evaluate(background), light);
  Click("#theme");
  EXPECT_EQ(browser_.Evaluate(background), dark);
}

// What a keyboard reaches has a name, and where it is can be seen.
TEST_F(ChatPage, WorksWithoutAMouse) {
  Open();
  Asked& asked = Ask("Hello");
  asked.Say("```python\nx = 1\n```\n");
  asked.End();
  WaitUntilWhole();
  browser_.Evaluate("document.querySelector('.skip').focus()");
  browser_.Press("Enter");
  EXPECT_EQ(browser_.Evaluate("document.activeElement.id"), "prompt");
  const json nameless = browser_.Evaluate(
      "[...document.querySelectorAll('button, input, textarea, select, a[href], [tabindex=\"0\"]')]"
      ".filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.length || "
      "one.id === 'scrim')).map((one) => one.outerHTML)");
  EXPECT_EQ(nameless.size(), 0u) << nameless;
}

class ChatPageOnAPhone : public ChatPage {
 protected:
  ChatPageOnAPhone() { browser_.Resize(360, 740); }
};

TEST_F(ChatPageOnAPhone, FitsAndItsDrawersCover) {
  Open();
  Asked& asked = Ask("Show me something wide");
  asked.Say(
      "| a | b | c | d | e | f |\n|---|---|---|---|---|---|\n| a long cell | a long cell | a long "
      "cell | a long cell | a long cell | a long cell |\n\n```cpp\nstd::unordered_map<std::string, "
      "std::vector<std::pair<int, int>>> a_long_name;\n```\n\n$$x_1 + x_2 + x_3 + x_4 + x_5 + x_6 "
      "+ "
      "x_7 + x_8 + x_9 + x_{10} + x_{11} + x_{12} + x_{13}$$\n\n" +
      std::string(200, 'w'));
  asked.End("stop", kUsage);
  WaitUntilWhole();
  browser_.WaitFor("document.querySelector('.katex') !== null");
  const char* width =
      "Math.max(document.documentElement.scrollWidth, "
      "document.getElementById('scroll').scrollWidth) - innerWidth";
  EXPECT_LE(browser_.Evaluate(width).get<int>(), 0);
  for (const char* drawer : {"chats", "settings"}) {
    Click("#show-" + std::string(drawer));
    EXPECT_EQ(browser_.Evaluate("document.querySelector('.page').inert"), true);
    EXPECT_EQ(browser_.Evaluate("document.getElementById('" + std::string(drawer) +
                                "').contains(document.activeElement)"),
              true);
    EXPECT_LE(browser_.Evaluate(width).get<int>(), 0);
    browser_.Press("Escape");
    EXPECT_EQ(browser_.Evaluate("document.getElementById('" + std::string(drawer) + "').hidden"),
              true);
    EXPECT_EQ(browser_.Evaluate("document.activeElement.id"), "show-" + std::string(drawer));
  }
}

// The binary with a small random model: what it writes is nonsense, and all of it has to show.
class ServedChatPage : public ServeTest {};

TEST_F(ServedChatPage, AnswersInTheBrowser) {
  Serve({"--seed", "1"});
  Browser browser(own_.path(), 1280, 860);
  browser.Open("http://127.0.0.1:" + std::to_string(port_) + "/");
  browser.WaitFor("document.getElementById('model').textContent === 'model'");
  browser.Evaluate(
      "{ const i = document.getElementById('set-max_tokens'); i.value = '40'; i.dispatchEvent(new "
      "Event('input')); document.getElementById('prompt').focus(); }");
  browser.Type("Hello");
  browser.Press("Enter");
  browser.WaitFor("/\\d out$/.test(document.querySelector('.numbers').textContent)");
  browser.WaitFor(
      "[...document.querySelectorAll('.answer .prose')].some((one) => one.textContent.length > 0)");
  EXPECT_EQ(browser.Evaluate("document.querySelectorAll('.failure:not([hidden])').length"), 0);
  for (const std::string& fault : browser.faults()) ADD_FAILURE() << fault;
}

}  // namespace
}  // namespace fathom::test
