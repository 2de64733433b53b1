// The files of deploy/ and what they say of `fathom serve`.

#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <string>

#include "base/file.h"
#include "e2e/serve_fixture.h"

namespace fathom::test {
namespace {

std::string Deploy(const std::string& name) { return FATHOM_SOURCE_DIR "/deploy/" + name; }

std::set<std::string> Found(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at) {
    found.insert(at->str(1));
  }
  return found;
}

using DeployTest = ServeTest;

TEST_F(DeployTest, OptionsAreThoseOfTheCommand) {
  Process help(own_.path(), {"serve", "--help"});
  ASSERT_EQ(help.Status(), 0);
  const std::set<std::string> known = Found(help.Out(), "(--[a-z][-a-z]*)");
  for (const auto& [file, lines] :
       {std::pair<std::string, std::string>{"systemd/fathom.service", "ExecStart=([^\n]*)"},
        {"systemd/fathom.env", "OPTIONS=([^\n]*)"},
        {"docker/Dockerfile", "CMD (\\[\"serve\"[^\n]*)"},
        {"kubernetes/fathom.yaml", "            - (--[^\n]*)"}}) {
    const std::set<std::string> said = Found(ReadFile(Deploy(file)), lines);
    EXPECT_FALSE(said.empty()) << file;
    for (const std::string& line : said) {
      for (const std::string& option : Found(line, "(--[a-z][-a-z]*)")) {
        EXPECT_TRUE(known.contains(option)) << file << ": " << option;
      }
    }
  }
}

TEST_F(DeployTest, TheServiceStartsWithItsConfiguration) {
  key_ = CreateKey("alice");
  Serve({"--ledger", Ledger(), "--config", Deploy("systemd/serve.toml"), "--log-format", "json",
         "--drain-time", "60", "--disk-cache", (own_ / "cache").string()});
  Ask("/v1/completions", {{"prompt", "class"}, {"max_tokens", 2}});
}

TEST_F(DeployTest, ProbesAskForWhatThereIs) {
  Serve();
  const std::string manifest = ReadFile(Deploy("kubernetes/fathom.yaml"));
  const std::set<std::string> paths = Found(manifest, "httpGet: \\{path: ([^,]*),");
  EXPECT_EQ(paths, (std::set<std::string>{"/health/live", "/health/ready"}));
  for (const std::string& path : paths) {
    Client client(port_);
    client.Send(Get(path));
    EXPECT_EQ(Status(client.Receive()), 200) << path;
  }
}

}  // namespace
}  // namespace fathom::test
