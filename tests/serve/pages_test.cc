#include "serve/web/pages.h"

#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "serve/client.h"
#include "serve/running_server.h"

namespace fathom {
namespace {

using test::Client;
using test::Get;
using test::Has;
using test::Status;

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
  EXPECT_FALSE(std::regex_search(page, std::regex("<script>|<style|style=| on[a-z]+=|https?://")));
  EXPECT_EQ(Status(Fetch("/plan/app.js")), 401);
}

TEST_F(PagesTest, WhatABrowserHasIsNotSentAgain) {
  const std::string whole = Fetch("/libraries/katex.js");
  EXPECT_TRUE(Has(whole, "Content-Type: text/javascript"));
  EXPECT_TRUE(Has(whole, "Cache-Control: no-cache\r\n"));
  std::smatch tag;
  ASSERT_TRUE(std::regex_search(whole, tag, std::regex("ETag: (\"[0-9a-f]+\")\r\n")));
  const std::string same =
      Fetch("/libraries/katex.js", "If-None-Match: " + tag.str(1) + "\r\nConnection: close\r\n");
  EXPECT_EQ(Status(same), 304);
  EXPECT_TRUE(same.ends_with("\r\n\r\n"));
  EXPECT_FALSE(Has(same, "Content-Length"));
  const std::string other = Fetch("/libraries/katex.js", "If-None-Match: \"0\"\r\n");
  EXPECT_EQ(Status(other), 200);
  EXPECT_EQ(other.size(), whole.size());
}

// What the page and its style sheets name is there.
TEST_F(PagesTest, HasWhatItNames) {
  const auto each = [this](const std::string& in, const std::string& pattern,
                           const std::string& folder) {
    const std::string text = Fetch(in);
    const std::regex names(pattern);
    size_t count = 0;
    for (std::sregex_iterator at(text.begin(), text.end(), names), end; at != end; ++at, ++count) {
      EXPECT_EQ(Status(Fetch(folder + at->str(1))), 200) << folder << at->str(1);
    }
    return count;
  };
  EXPECT_GE(each("/", R"re((?:src|href)="([a-z_/]+\.(?:js|css))")re", "/"), 8U);
  EXPECT_GE(
      each("/libraries/katex.css", R"re(url\((fonts/[A-Za-z0-9_-]+\.woff2)\))re", "/libraries/"),
      20U);
  EXPECT_GE(each("/app.js", R"re(from '\./([a-z_/]+\.js)')re", "/"), 10U);
  const std::string font = Fetch("/libraries/fonts/KaTeX_Main-Regular.woff2");
  EXPECT_TRUE(Has(font, "Content-Type: font/woff2\r\n"));
  EXPECT_TRUE(Has(font, "\r\n\r\nwOF2"));
}

}  // namespace
}  // namespace fathom
