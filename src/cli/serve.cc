#include "cli/serve.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/open_files.h"
#include "cli/common.h"
#include "cli/generation_options.h"
#include "cli/model_engine.h"
#include "cli/serve_settings.h"
#include "cli/service_manager.h"
#include "serve/accounts/accounts.h"
#include "serve/accounts/open_store.h"
#include "serve/http/server.h"
#include "serve/http/tls.h"
#include "serve/metrics/server_metrics.h"
#include "serve/openai/openai_api.h"
#include "serve/web/pages.h"

namespace fathom {
namespace {

struct ServeArguments {
  CommonOptions common;
  PrecisionOption precision;
  AdapterOption adapter;
  CacheOptions cache;
  DraftOptions draft;
  std::filesystem::path directory;
  std::string name;
  std::string ledger;
  std::filesystem::path config;
  std::string log_format = "text";
  int64_t context = 0;
  int64_t max_running = 64, max_waiting = 256;
  int64_t drain_seconds = 30;
  WebServerOptions web{
      .host = "127.0.0.1", .port = 8080, .body_bytes = 16 << 20, .stop_at_signals = true};
  int64_t max_connections = 4096;
};

// What is open besides connections: the model, the ledger, files of the disk cache.
constexpr int64_t kOtherFiles = 128;

// Sequences of full length that the cache has room for, if nothing else is said and memory allows.
constexpr int64_t kWholeContexts = 16;

bool IsThisMachine(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

class Serving {
 public:
  explicit Serving(ServeArguments& arguments)
      : arguments_(arguments),
        store_(arguments.ledger.empty() ? nullptr : OpenStore(arguments.ledger, StoreMode::kServe)),
        settings_(ServeSettings::Read(arguments.config)),
        accounts_(store_.get(), settings_.prices),
        admission_({.objective = settings_.first_token, .max_running = arguments.max_running}),
        device_(arguments.common.device, arguments.common.threads),
        model_(arguments.directory, arguments.precision.Get(), arguments.draft.wants_mtp(),
               arguments.adapter.directory) {
    CheckKeys();
    WarnOfBudgets(settings_.prices);
    const auto side_file = [this](std::string_view name) {
      return model_.mapped().source().SideFile(name);
    };
    try {
      template_ =
          ChatTemplate::Load(side_file, arguments.directory.string(), &model_.RequireTokenizer());
    } catch (const Error& error) {
      spdlog::warn("{}; /v1/chat/completions will say so", error.what());
    }
  }

  void Run() {
    const int64_t context =
        arguments_.context > 0 ? std::min(arguments_.context, Context()) : Context();
    const int64_t page_bytes =
        KvCache::kPageTokens *
        KvCache::BytesPerToken(model_.config(), model_.precision(), arguments_.cache.format.Get());
    const int64_t quarter = AvailableMemory() / 4 / page_bytes;
    const int64_t pages =
        arguments_.cache.memory > 0
            ? static_cast<int64_t>(arguments_.cache.memory) / page_bytes
            : std::min(KvCache::Pages(context) * kWholeContexts, std::max<int64_t>(1, quarter));
    EngineOptions options{
        .max_running = arguments_.max_running,
        .max_length = std::min(context, pages * KvCache::kPageTokens),
        .max_waiting = arguments_.max_waiting,
    };
    arguments_.draft.Apply(model_, options);
    ModelEngine engine(device_, model_, arguments_.cache, pages, 1, options,
                       arguments_.common.quiet);
    const ServedModel served{.name = Name(),
                             .tokenizer = &model_.RequireTokenizer(),
                             .max_length = options.max_length,
                             .created = std::time(nullptr),
                             .seed = arguments_.common.seed};
    ServerMetrics metrics(Name(), options.max_length, accounts_);
    EngineService service(engine.engine(), {&metrics, &admission_});
    OpenAiApi api(served, model_.defaults(), template_ ? &*template_ : nullptr, service, accounts_,
                  admission_);
    WebRouter router;
    api.AddTo(router);
    metrics.AddTo(router);
    AddPages("chat", router);
    arguments_.web.connections = Connections();
    arguments_.web.answered = [&metrics](const WebRecord& record) {
      metrics.OnAnswered(record);
      LogAnswer(record);
    };
    arguments_.web.reload = [this] { Reload(); };
    arguments_.web.stopping = NotifyStopping;
    arguments_.web.drained = [&service] { service.GiveUp(); };
    arguments_.web.is_open = [this] { return accounts_.keys().empty(); };
    WebServer server(arguments_.web, std::move(router));
    spdlog::info("{} tokens of context, {} for the cache", options.max_length,
                 FormatBytes(static_cast<double>(pages * page_bytes)));
    const std::string page = server.Address() + "/", url = page + "v1";
    if (arguments_.common.json) {
      WriteJson(
          {{"model", Name()}, {"url", url}, {"page", page}, {"max_model_len", options.max_length}});
    } else {
      WriteStandardOutput(fmt::format("{} is served at {}, and to talk to at {} (Ctrl-C ends it)\n",
                                      Name(), url, page));
    }
    const Watchdog watchdog([&service] { return !service.state().is_stuck(); });
    NotifyReady(fmt::format("{} is served at {}", Name(), url));
    server.Run();
  }

 private:
  // As many as were asked for, or as the system allows.
  size_t Connections() const {
    const int64_t files = AllowOpenFiles(arguments_.max_connections + kOtherFiles);
    const int64_t connections = std::min(arguments_.max_connections, files - kOtherFiles);
    if (connections < 1) {
      throw Error("open files", fmt::format("the system allows {}, which is too few", files),
                  "`ulimit -n` raises that, and LimitNOFILE= of systemd");
    }
    if (connections < arguments_.max_connections) {
      spdlog::warn(
          "{} connections instead of {}: the system allows no more than {} open files (`ulimit "
          "-Hn`)",
          connections, arguments_.max_connections, files);
    }
    return static_cast<size_t>(connections);
  }

  void CheckKeys() const {
    const std::string& host = arguments_.web.host;
    if (IsThisMachine(host)) return;
    if (accounts_.keys().usable() == 0) {
      throw Error(store_->name(),
                  fmt::format("no key in it can be used, and {} is more than this machine", host),
                  "`fathom keys create` makes one");
    }
    if (arguments_.web.tls.empty()) {
      spdlog::warn(
          "keys and answers are not encrypted: give --tls-cert and --tls-key, or serve "
          "behind something that encrypts");
    }
  }

  void WarnOfBudgets(const Prices& prices) const {
    if (prices != Prices{} || !accounts_.keys().has_budget()) return;
    spdlog::warn(
        "keys have budgets, and there are no prices, so that nothing costs anything: give them in "
        "[prices] of the file of --config (docs/serving.md)");
  }

  void Reload() {
    const ServeSettings settings = ServeSettings::Read(arguments_.config);
    WarnOfBudgets(settings.prices);
    accounts_.SetPrices(settings.prices);
    admission_.SetObjective(settings.first_token);
    accounts_.ReloadKeys();
    spdlog::info("the configuration is read again, and keys are");
  }

  // Neither what was asked nor what was answered.
  static void LogAnswer(const WebRecord& record) {
    LogEvent(spdlog::level::info, "answered",
             {{"request_id", record.id},
              {"method", record.method},
              {"path", record.path},
              {"status", int64_t{record.status}},
              {"seconds", record.seconds},
              {"key", record.caller},
              {"whole", int64_t{record.whole}}});
  }

  int64_t Context() const { return model_.config().max_position_embeddings; }

  std::string Name() const {
    if (!arguments_.name.empty()) return arguments_.name;
    const std::filesystem::path whole = std::filesystem::absolute(arguments_.directory);
    const std::filesystem::path last = whole.has_filename() ? whole : whole.parent_path();
    return std::filesystem::is_directory(last) ? last.filename().string() : last.stem().string();
  }

  ServeArguments& arguments_;
  // First, so that what the engine leaves unfinished at the end is settled all the same.
  std::unique_ptr<AccountStore> store_;  // null without --ledger
  const ServeSettings settings_;         // at the start
  Accounts accounts_;
  Admission admission_;
  Device device_;
  LoadedModel model_;
  std::optional<ChatTemplate> template_;
};

void CheckHost(const ServeArguments& arguments) {
  if (IsThisMachine(arguments.web.host) || !arguments.ledger.empty()) return;
  throw UsageError(
      "--host",
      fmt::format("{} is more than this machine, and there are no keys", arguments.web.host),
      "`fathom keys create NAME --ledger FILE` makes one, and --ledger FILE asks for it");
}

}  // namespace

void AddServeCommand(Command app) {
  Command command =
      app.AddCommand("serve", "Serve a model through the OpenAI API, with a page to chat with it.");
  command.Footer("Example: fathom serve my-model --port 8080");
  const auto arguments = std::make_shared<ServeArguments>();
  command.AddOption("MODEL", arguments->directory, "A model directory or a .gguf file").Required();
  command.AddOption("--host", arguments->web.host, "The address to listen on").ShowDefault();
  command.AddOption("--port", arguments->web.port, "The port to listen on; 0: one that is free")
      .ShowDefault();
  command.AddOption("--name", arguments->name,
                    "The model's name in the API; that of its directory if not given");
  command
      .AddOption("--context", arguments->context,
                 "Tokens of prompt and answer at most; what the model is made for if not given")
      .InRange(16, int64_t{1} << 24);
  command.AddOption("--max-running", arguments->max_running, "Answers that are written at a time")
      .InRange(1, 4096)
      .ShowDefault();
  command
      .AddOption("--max-waiting", arguments->max_waiting,
                 "Answers that wait for their turn; beyond, requests are refused (429)")
      .InRange(1, int64_t{1} << 20)
      .ShowDefault();
  command
      .AddOption("--max-connections", arguments->max_connections,
                 "Connections at a time; beyond, they are closed at once")
      .InRange(1, int64_t{1} << 20)
      .ShowDefault();
  command
      .AddOption("--drain-time", arguments->drain_seconds,
                 "Seconds that answers under way may take to end after SIGTERM")
      .InRange(0, 86400)
      .ShowDefault();
  command.AddOption("--ledger", arguments->ledger,
                    "Keys (`fathom keys`) and what requests took and cost: a file, or the "
                    "postgresql:// address of a database, for several servers; without it, there "
                    "are none");
  command.AddOption(
      "--config", arguments->config,
      "A file with prices and the objective of admission, read again at SIGHUP (docs/serving.md)");
  command
      .AddOption("--log-format", arguments->log_format,
                 "What the log on stderr is: text, or json (an object a line)")
      .OneOf({"text", "json"})
      .ShowDefault();
  Option certificate = command.AddOption(
      "--tls-cert", arguments->web.tls.certificate,
      "Serve with TLS: the certificate and its chain (PEM), read again at SIGHUP");
  Option key = command.AddOption("--tls-key", arguments->web.tls.key, "Its private key (PEM)");
  certificate.Needs(key);
  key.Needs(certificate);
  arguments->draft.AddTo(command);
  arguments->cache.AddTo(command);
  arguments->precision.AddTo(command);
  arguments->adapter.AddTo(command);
  arguments->common.AddTo(command);
  command.GetOption("--seed").Describe(
      "Seed of requests that give none; one is drawn for each if not given");
  command.GetOption("--json").Describe("Print where it is served as JSON on stdout");
  command.OnRun([arguments] {
    StartLogging(arguments->common.quiet,
                 arguments->log_format == "json" ? LogFormat::kJson : LogFormat::kText);
    if (const auto socket = TakeInheritedSocket()) {
      arguments->web.listening = socket->descriptor;
      arguments->web.host = socket->host;
    }
    CheckHost(*arguments);
    CheckTls(arguments->web.tls);
    arguments->web.drain_time = std::chrono::seconds(arguments->drain_seconds);
    Serving(*arguments).Run();
  });
}

}  // namespace fathom
