#include "serve/web/pages.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "serve/client.h"
#include "serve/running_server.h"

namespace fathom {
namespace {

using test::Client;
using test::Get;
using test::Has;
using test::Status;

// What stands between `before` and `after`, each time that there is something.
std::vector<std::string> Between(std::string_view text, std::string_view before,
                                 std::string_view after) {
  std::vector<std::string> found;
  for (size_t at = 0; (at = text.find(before, at)) != std::string_view::npos;) {
    at += before.size();
    found.emplace_back(text.substr(at, text.find(after, at) - at));
  }
  return found;
}

class PagesTest : public testing::Test {
 protected:
  static WebRouter Routes() {
    WebRouter router;
    AddPages("chat", router);
    // Pages are for everybody, whatever else the server asks of who calls it.
    router.SetGuard([](WebRequest&, WebAccess access) -> std::optional<WebResponse> {
      if (access == WebAccess::kOpen) return std::nullopt;
      return WebError(401, "no");
    });
    return router;
  }
  std::string Fetch(const std::string& path, const std::string& headers = "") {
    Client client(server_.port());
    client.Send(Get(path, headers));
    return client.Receive();
  }

  test::Running server_{{}, Routes()};
};

TEST_F(PagesTest, SaysWhatThePageMayDo) {
  const std::string page = Fetch("/");
  EXPECT_EQ(Status(page), 200);
  EXPECT_TRUE(Has(page, "Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT_TRUE(
      Has(page, "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'"));
  EXPECT_FALSE(Has(page, "unsafe"));
  // Nothing in it that this would forbid.
  for (const char* forbidden :
       {"<script>", "<style", "style=", "onclick=", "http://", "https://"}) {
    EXPECT_FALSE(Has(page, forbidden)) << forbidden;
  }
  EXPECT_EQ(Status(Fetch("/plan/app.js")), 401);
}

TEST_F(PagesTest, WhatABrowserHasIsNotSentAgain) {
  const std::string whole = Fetch("/libraries/katex.js");
  EXPECT_TRUE(Has(whole, "Content-Type: text/javascript"));
  EXPECT_TRUE(Has(whole, "Cache-Control: no-cache\r\n"));
  const std::vector<std::string> tags = Between(whole, "ETag: ", "\r\n");
  ASSERT_EQ(tags.size(), 1U);
  const std::string same =
      Fetch("/libraries/katex.js", "If-None-Match: " + tags[0] + "\r\nConnection: close\r\n");
  EXPECT_EQ(Status(same), 304);
  EXPECT_TRUE(same.ends_with("\r\n\r\n"));
  EXPECT_FALSE(Has(same, "Content-Length"));
  const std::string other = Fetch("/libraries/katex.js", "If-None-Match: \"0\"\r\n");
  EXPECT_EQ(Status(other), 200);
  EXPECT_EQ(other.size(), whole.size());
}

// What the page and its style sheets name is there.
TEST_F(PagesTest, HasWhatItNames) {
  const auto check = [this](const std::vector<std::string>& names, const std::string& folder) {
    for (const std::string& name : names) {
      EXPECT_EQ(Status(Fetch(folder + name)), 200) << folder << name;
    }
    return names.size();
  };
  const std::string page = Fetch("/");
  EXPECT_GE(check(Between(page, "src=\"", "\""), "/"), 4U);
  EXPECT_GE(check(Between(page, "rel=\"stylesheet\" href=\"", "\""), "/"), 4U);
  EXPECT_GE(check(Between(Fetch("/app.js"), "from './", "'"), "/"), 10U);
  const std::string formulas = Fetch("/libraries/katex.css");
  std::vector<std::string> fonts;
  for (const std::string& name : Between(formulas, "url(", ")")) {
    if (name.ends_with(".woff2")) fonts.push_back(name);
  }
  EXPECT_EQ(check(fonts, "/libraries/"), 20U);
  const std::string font = Fetch("/libraries/fonts/KaTeX_Main-Regular.woff2");
  EXPECT_TRUE(Has(font, "Content-Type: font/woff2\r\n"));
  EXPECT_TRUE(Has(font, "\r\n\r\nwOF2"));
}

}  // namespace
}  // namespace fathom
