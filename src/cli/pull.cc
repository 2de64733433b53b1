#include "cli/pull.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/common.h"
#include "hub/pull.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

struct PullArguments {
  PullOptions pull;
  fs::path token_file;
  bool json = false;
};

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Without the white space around it; what cannot be sent in a header is an Error, that does not
// show it.
std::string CheckedToken(std::string token, const std::string& where) {
  constexpr const char* kSpace = " \t\r\n";
  token.erase(0, std::min(token.find_first_not_of(kSpace), token.size()));
  token.erase(token.find_last_not_of(kSpace) + 1);
  const bool sendable = std::all_of(token.begin(), token.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
  });
  if (!sendable) throw Error(where, "is not a token", "one word without spaces is expected");
  return token;
}

std::string Token(const fs::path& file) {
  if (file.empty()) return CheckedToken(Environment("HF_TOKEN"), "HF_TOKEN");
  std::string token = CheckedToken(ReadFile(file), file.string());
  if (token.empty()) throw Error(file.string(), "is empty", "it should hold a token");
  return token;
}

void PrintResult(const PullArguments& arguments, const PullResult& result) {
  const HubOptions& hub = arguments.pull.hub;
  const std::string directory = arguments.pull.directory.string();
  if (!arguments.json) {
    const auto received = static_cast<double>(result.received);
    spdlog::info("{} received in {}; the model is in {}", FormatBytes(received),
                 FormatDuration(result.seconds), directory);
    return;
  }
  nlohmann::ordered_json json = {
      {"repository", hub.repository}, {"revision", hub.revision},
      {"commit", result.commit},      {"endpoint", hub.endpoint},
      {"directory", directory},       {"received_bytes", result.received},
      {"seconds", result.seconds},    {"files", nlohmann::ordered_json::array()},
      {"left_out", result.left_out}};
  for (const auto& [file, downloaded] : result.files) {
    json["files"].push_back({{"name", file.name},
                             {"bytes", file.size},
                             {"checksum", file.checksum.ToString()},
                             {"downloaded", downloaded}});
  }
  WriteJson(json);
}

void RunPull(PullArguments& arguments) {
  PullOptions& options = arguments.pull;
  if (options.quiet) spdlog::set_level(spdlog::level::warn);
  options.hub.http.token = Token(arguments.token_file);
  if (options.directory.empty()) {
    const std::string& name = options.hub.repository;
    options.directory = name.substr(name.rfind('/') + 1);
  }
  PrintResult(arguments, Pull(options));
}

}  // namespace

void AddPullCommand(Command app) {
  Command command = app.AddCommand("pull", "Download a model from a hub.");
  command.Footer(
      "Without --include, what a model needs is downloaded: its configuration, tokenizer and\n"
      "safetensors. HF_TOKEN or --token-file opens gated and private models; proxies and\n"
      "certificates are taken from https_proxy, no_proxy and SSL_CERT_FILE. What an interrupted\n"
      "run left unfinished is gone on with.\n"
      "Example: fathom pull deepseek-ai/DeepSeek-V2-Lite models/v2-lite");
  const auto arguments = std::make_shared<PullArguments>();
  PullOptions& options = arguments->pull;
  if (const std::string endpoint = Environment("HF_ENDPOINT"); !endpoint.empty()) {
    options.hub.endpoint = endpoint;
  }
  command.AddOption("MODEL", options.hub.repository, "ORG/NAME").Required();
  command.AddOption("DIR", options.directory, "Where to put it; NAME if not given");
  command.AddOption("--revision", options.hub.revision, "A branch, tag or commit").ShowDefault();
  command
      .AddOption("--include", options.selection.include,
                 "Files to download instead of what a model needs ('*.gguf'); repeatable")
      .Repeatable();
  command
      .AddOption("--exclude", options.selection.exclude,
                 "Files of these to leave out all the same; repeatable")
      .Repeatable();
  command
      .AddOption("--endpoint", options.hub.endpoint,
                 "The hub, or a mirror; HF_ENDPOINT if that is set")
      .ShowDefault();
  command.AddOption("--token-file", arguments->token_file,
                    "A file with the access token, in place of HF_TOKEN");
  command.AddOption("--jobs", options.jobs, "Files at a time").InRange(1, 64).ShowDefault();
  command.AddFlag("--verify", options.verify,
                  "Read files that are there again and check them; damaged ones are replaced");
  command.AddFlag("--quiet", options.quiet, "Print results, warnings and errors only");
  command.AddFlag("--json", arguments->json, "Print the result as JSON on stdout");
  command.OnRun([arguments] { RunPull(*arguments); });
}

}  // namespace fathom
