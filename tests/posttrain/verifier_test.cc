#include "posttrain/verifier/external_judge.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/temporary_directory.h"

namespace fathom {
namespace {

using Statuses = std::vector<RewardStatus>;
constexpr RewardStatus kScored = RewardStatus::kScored, kFailed = RewardStatus::kFailed,
                       kTimedOut = RewardStatus::kTimedOut, kNotANumber = RewardStatus::kNotANumber;

// With the kernel's namespaces, and without.
class Verifier : public testing::TestWithParam<bool> {
 protected:
  Verifier() { std::signal(SIGPIPE, SIG_IGN); }  // as main() does

  VerifierOptions Options(std::string command, int workers = 1) const {
    VerifierOptions options{.command = std::move(command), .workers = workers};
    options.limits.namespaces = GetParam();
    // Nothing here takes long; what is to be killed says so by a shorter one.
    options.timeout_seconds = 120;
    return options;
  }
  std::vector<VerifierReply> Ask(const VerifierOptions& options,
                                 const std::vector<std::string>& requests = {"{}"}) {
    return VerifierPool(options).Ask(requests);
  }
  // The reward that a command gives once.
  double Reward(const std::string& command) {
    const auto replies = Ask(Options(command));
    EXPECT_EQ(replies[0].value.status, kScored) << replies[0].error;
    return replies[0].value.value;
  }
};
INSTANTIATE_TEST_SUITE_P(Kernels, Verifier, testing::Bool(), [](const auto& kernel) {
  return kernel.param ? "WithNamespaces" : "Without";
});

std::vector<double> Values(const std::vector<VerifierReply>& replies) {
  std::vector<double> values;
  for (const VerifierReply& reply : replies) values.push_back(reply.value.value);
  return values;
}
Statuses StatusesOf(const std::vector<VerifierReply>& replies) {
  Statuses statuses;
  for (const VerifierReply& reply : replies) statuses.push_back(reply.value.status);
  return statuses;
}

// Processes of this machine whose command line holds the text.
int Running(const std::string& text) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    // Of a process that ends meanwhile there is nothing to read.
    std::ostringstream line;
    line << file.rdbuf();
    if (line.str().find(text) != std::string::npos) ++count;
  }
  return count;
}

// Whether none is left. They are killed, but the kernel takes its time to end them.
bool IsGone(const std::string& text) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (Running(text) > 0) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST_P(Verifier, OneProcessAnswersOneRequestAfterTheOther) {
  VerifierPool pool(
      Options("n=0; while read line; do n=$((n+1)); echo \"{\\\"reward\\\": $n}\"; done"));
  const std::vector<std::string> requests(3, "{}");
  EXPECT_EQ(Values(pool.Ask(requests)), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(Values(pool.Ask(requests)), (std::vector<double>{4, 5, 6}));
  EXPECT_EQ(pool.has_namespaces(), GetParam());
}

TEST_P(Verifier, RepliesComeInTheOrderOfRequestsWhoeverIsFirst) {
  // Even requests take longer.
  VerifierOptions options = Options(
      "while read n; do [ $((n % 2)) = 0 ] && sleep 0.02; echo \"{\\\"reward\\\": $n}\"; done", 3);
  std::vector<std::string> requests;
  std::vector<double> expected;
  for (int i = 0; i < 20; ++i) {
    requests.push_back(std::to_string(i));
    expected.push_back(i);
  }
  EXPECT_EQ(Values(Ask(options, requests)), expected);
}

TEST_P(Verifier, ACommandThatAnswersOnceIsStartedAgain) {
  EXPECT_EQ(Values(Ask(Options("read n; echo \"{\\\"reward\\\": $n}\""), {"1", "2", "3"})),
            (std::vector<double>{1, 2, 3}));
}

TEST_P(Verifier, TrueAndFalseAreOneAndZero) {
  EXPECT_EQ(Values(Ask(Options("while read b; do echo \"{\\\"reward\\\": $b}\"; done"),
                       {"true", "false", "0.25", "-3"})),
            (std::vector<double>{1, 0, 0.25, -3}));
}

TEST_P(Verifier, LargeRequestsArriveWhole) {
  const std::string large(300000, 'x');
  EXPECT_EQ(Reward("while read -r line; do echo \"{\\\"reward\\\": ${#line}}\"; done"), 2);
  const auto replies =
      Ask(Options("while read -r line; do echo \"{\\\"reward\\\": ${#line}}\"; done"), {large});
  EXPECT_EQ(replies[0].value.value, 300000);
}

TEST_P(Verifier, ACrashCostsOneRequest) {
  const auto replies = Ask(Options("while read n; do [ $n = 2 ] && { echo no luck >&2; exit 3; }; "
                                   "echo \"{\\\"reward\\\": $n}\"; done"),
                           {"1", "2", "3"});
  EXPECT_EQ(StatusesOf(replies), (Statuses{kScored, kFailed, kScored}));
  EXPECT_NE(replies[1].error.find("exit status 3"), std::string::npos) << replies[1].error;
  EXPECT_NE(replies[1].error.find("no luck"), std::string::npos) << replies[1].error;
}

TEST_P(Verifier, RubbishIsNoReply) {
  const auto replies =
      Ask(Options("while read -r line; do eval \"$line\"; done"),
          {"echo '{\"reward\": 1}'", "echo hello", "echo '{}'", "echo '[1]'",
           "echo '{\"reward\": \"1\"}'", "printf '{\"reward\": 1}\\n{\"reward\": 1}\\n'",
           "echo '{\"reward\": NaN}'", "echo '{\"reward\":-Infinity}'", "printf '\\377\\000\\n'",
           "yes | tr -d '\\n'", "echo '{\"reward\": 2}'"});
  EXPECT_EQ(StatusesOf(replies), (Statuses{kScored, kFailed, kFailed, kFailed, kFailed, kFailed,
                                           kNotANumber, kNotANumber, kFailed, kFailed, kScored}));
  EXPECT_NE(replies[1].error.find("hello"), std::string::npos);
}

TEST_P(Verifier, WhatTakesTooLongIsKilledWithAllItStarted) {
  // Children in the background, one of which tries to leave the group.
  VerifierOptions options = Options(
      "while read n; do [ $n = 1 ] && { sleep 98761 & setsid sleep 98761 & (sleep 98761 &) ; sleep "
      "98761; }; "
      "echo \"{\\\"reward\\\": $n}\"; done");
  options.timeout_seconds = 1;
  VerifierPool pool(options);
  const std::vector<std::string> requests = {"0", "1"};
  const auto replies = pool.Ask(requests);
  EXPECT_EQ(StatusesOf(replies), (Statuses{kScored, kTimedOut}));
  EXPECT_TRUE(IsGone("98761"));
}

TEST_P(Verifier, NothingIsLeftWhenItEnds) {
  Ask(Options("read n; sleep 98762 & echo '{\"reward\": 1}'; sleep 98762"));
  EXPECT_TRUE(IsGone("98762"));
}

TEST_P(Verifier, MemoryIsLimited) {
  VerifierOptions options = Options("read n; x=xxxxxxxx; while :; do x=$x$x; done");
  options.limits.memory_bytes = 64 << 20;
  const auto replies = Ask(options);
  EXPECT_EQ(replies[0].value.status, kFailed);
}

TEST_P(Verifier, FilesAreLimited) {
  VerifierOptions options = Options(
      "read n; head -c 3000000 /dev/zero > $TMPDIR/f 2>/dev/null; "
      "echo \"{\\\"reward\\\": $(wc -c < $TMPDIR/f)}\"");
  options.limits.file_bytes = 1 << 20;
  EXPECT_EQ(Ask(options)[0].value.value, 1 << 20);
  options.limits.file_bytes = 8 << 20;
  EXPECT_EQ(Ask(options)[0].value.value, 3'000'000);
}

TEST_P(Verifier, ItWritesIntoItsOwnDirectoryOnly) {
  TemporaryDirectory outside;
  const std::string file = (outside / "f").string();
  const std::string command = "read n; { echo x > " + file +
                              "; } 2>/dev/null; echo x > $TMPDIR/g; "
                              "echo \"{\\\"reward\\\": $(wc -c < $TMPDIR/g)}\"";
  VerifierPool pool(Options(command));
  const std::string request = "{}";
  EXPECT_EQ(pool.Ask({&request, 1})[0].value.value, 2);
  EXPECT_EQ(std::filesystem::exists(file), !pool.writes_confined());
}

TEST_P(Verifier, ThereIsNoNetwork) {
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(server, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(server, 8), 0);
  socklen_t size = sizeof(address);
  getsockname(server, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string connect = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/" +
                              std::to_string(ntohs(address.sin_port)) + "' 2>/dev/null";
  // Whoever is not cut off gets through.
  ASSERT_EQ(std::system(connect.c_str()), 0);
  EXPECT_EQ(Reward("read n; " + connect + "; echo \"{\\\"reward\\\": $?}\""), 1);
  close(server);
}

TEST_P(Verifier, SecretsOfTheEnvironmentStayOutside) {
  setenv("FATHOM_TEST_SECRET", "123", 1);
  EXPECT_EQ(Reward("read n; echo \"{\\\"reward\\\": ${FATHOM_TEST_SECRET:-0}}\""), 0);
  unsetenv("FATHOM_TEST_SECRET");
}

TEST_P(Verifier, ItsDirectoryGoesWithIt) {
  std::filesystem::path directory;
  {
    SandboxedProcess process("cat", Options("").limits);
    directory = process.directory();
    EXPECT_TRUE(std::filesystem::exists(directory));
  }
  EXPECT_FALSE(std::filesystem::exists(directory));
}

TEST_P(Verifier, ACommandThatNeverWorksIsAnError) {
  const std::vector<std::string> requests(40, "{}");
  EXPECT_ERROR(VerifierPool(Options("no-such-verifier", 2)).Ask(requests), "no-such-verifier");
  EXPECT_ERROR(VerifierPool(Options("no-such-verifier", 2)).Ask(requests), "not found");
}

// A message is a reply where the asker says so, and rubbish elsewhere.
TEST_P(Verifier, ACommandMaySaySomethingInstead) {
  VerifierOptions options = Options("while read -r line; do echo '{\"message\": \"go on\"}'; done");
  EXPECT_EQ(Ask(options)[0].value.status, kFailed);
  options.messages = true;
  const VerifierReply reply = Ask(options)[0];
  EXPECT_EQ(reply.value.status, kScored);
  EXPECT_EQ(reply.message, "go on");
  options.command = "while read -r line; do echo '{\"reward\": 0.25}'; done";
  EXPECT_EQ(Ask(options)[0].message, std::nullopt);
  EXPECT_EQ(Ask(options)[0].value.value, 0.25);
  options.command = "echo '{\"message\": 1}'";
  EXPECT_EQ(Ask(options)[0].value.status, kFailed);
}

TEST_P(Verifier, AConversationIsAskedWithAllThatWasSaid) {
  VerifierOptions options = Options(
      "while read -r line; do case \"$line\" in "
      "'{\"problem\":{\"n\":7},\"completion\":\"low\",\"thinking\":\"\",\"answer\":\"low\","
      "\"messages\":[{\"role\":\"user\",\"content\":\"guess\"},"
      "{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"content\":\"low\"}],"
      "\"turn\":2,\"turns\":5}') echo '{\"message\": \"higher\"}';; "
      "*) echo '{\"reward\": 0}';; esac; done");
  options.messages = true;
  ExternalJudge judge(options);
  TaskProblem problem;
  problem.row = "{\"n\":7}";
  const Completion completion{.text = "low"};
  const std::vector<ChatMessage> messages = {
      {.role = "user", .content = "guess"},
      {.role = "assistant", .content = "low", .reasoning = "hm"}};
  const std::vector<JudgeRequest> requests = {
      {.problem = &problem, .completion = &completion, .messages = messages, .turn = 2, .turns = 5},
      {.problem = &problem, .completion = &completion}};
  const auto replies = judge.Judge(requests);
  EXPECT_EQ(replies[0].message, "higher");
  EXPECT_EQ(replies[1].message, std::nullopt);
}

// What the environment has judged is not asked again.
TEST_P(Verifier, AVerdictStands) {
  const auto reward = MakeExternalReward(Options("exit 1"));
  const TaskProblem problem;
  const Completion completion{.text = "b"};
  const RewardValue verdict{0.75};
  const std::vector<RewardInput> inputs = {{&problem, &completion, &verdict}};
  std::vector<RewardValue> values(1);
  reward->Score(inputs, values);
  EXPECT_EQ(values[0].value, 0.75);
}

TEST_P(Verifier, ARewardIsAskedWithTheProblemAndTheAnswer) {
  // 1 where the answer's text is in the request as it should be.
  const auto reward = MakeExternalReward(
      Options("while read -r line; do case \"$line\" in "
              "'{\"problem\":{\"tests\":[1]},\"completion\":\"<think>a</"
              "think>b\",\"thinking\":\"a\",\"answer\":\"b\"}') "
              "echo '{\"reward\": 1}';; *) echo '{\"reward\": 0}';; esac; done"));
  TaskProblem problem;
  problem.row = "{\"tests\":[1]}";
  const Completion good{.text = "<think>a</think>b"}, bad{.text = "b"};
  const std::vector<RewardInput> inputs = {{&problem, &good}, {&problem, &bad}};
  std::vector<RewardValue> values(2);
  reward->Score(inputs, values);
  EXPECT_EQ(values[0].value, 1);
  EXPECT_EQ(values[1].value, 0);
  EXPECT_EQ(reward->name(), "external");
}

}  // namespace
}  // namespace fathom
