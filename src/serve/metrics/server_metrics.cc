#include "serve/metrics/server_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>
#include <utility>

namespace fathom {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Buckets = prometheus::Histogram::BucketBoundaries;
using Labels = std::map<std::string, std::string>;

// vLLM's buckets, in seconds.
const Buckets kFirstToken = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                             1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
const Buckets kPerToken = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5,
                           0.75, 1,     2.5,  5,     7.5, 10,   20,  40,  80};
const Buckets kWhole = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                        30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
const Buckets kStepTokens = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};

// 1, 2, 5, 10, ... up to the longest.
Buckets Lengths(int64_t most) {
  Buckets buckets;
  for (int64_t ten = 1; ten <= most; ten *= 10) {
    for (const int64_t length : {ten, 2 * ten, 5 * ten}) {
      if (length <= most) buckets.push_back(static_cast<double>(length));
    }
  }
  return buckets;
}

// Routes that are counted by name; a stranger must not be able to make new series.
std::string RouteOf(const std::string& path) {
  for (const char* route :
       {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/models",
        "/tokenize", "/detokenize", "/health", "/metrics"}) {
    if (path == route) return path;
  }
  return "other";
}

// A family of numbers that are known when they are asked for.
class Family {
 public:
  Family(MetricType type, const char* name, const char* help, Labels labels)
      : labels_(std::move(labels)) {
    family_.name = name;
    family_.help = help;
    family_.type = type;
  }
  Family& Add(double value, const Labels& more = {}) {
    ClientMetric metric;
    for (const Labels* labels : std::initializer_list<const Labels*>{&labels_, &more}) {
      for (const auto& [name, text] : *labels) metric.label.push_back({name, text});
    }
    (family_.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
    family_.metric.push_back(std::move(metric));
    return *this;
  }
  MetricFamily Take() { return std::move(family_); }

 private:
  Labels labels_;
  MetricFamily family_;
};

template <typename T>
double Sum(const std::vector<T>& values) {
  double sum = 0;
  for (const T value : values) sum += static_cast<double>(value);
  return sum;
}

}  // namespace

struct ServerMetrics::Families {
  Families(const std::string& model, int64_t max_length)
      : labels{{"model_name", model}, {"engine", "0"}},
        first_token(Histogram("vllm:time_to_first_token_seconds",
                              "From a request's arrival to its first token.", kFirstToken)),
        per_token(Histogram("vllm:time_per_output_token_seconds",
                            "From one token of an answer to the next.", kPerToken)),
        between_tokens(Histogram("vllm:inter_token_latency_seconds",
                                 "From one token of an answer to the next.", kPerToken)),
        whole(Histogram("vllm:e2e_request_latency_seconds",
                        "From a request's arrival to the end of its answer.", kWhole)),
        queue(Histogram("vllm:request_queue_time_seconds",
                        "From a request's arrival until the first of it is computed.", kWhole)),
        inference(Histogram("vllm:request_inference_time_seconds",
                            "From then to the end of the answer.", kWhole)),
        prefill(Histogram("vllm:request_prefill_time_seconds", "From then to the first token.",
                          kWhole)),
        decode(Histogram("vllm:request_decode_time_seconds",
                         "From the first token to the end of the answer.", kWhole)),
        prompt(Histogram("vllm:request_prompt_tokens", "Tokens of a prompt.", Lengths(max_length))),
        generation(Histogram("vllm:request_generation_tokens", "Tokens of an answer.",
                             Lengths(max_length))),
        step(Histogram("vllm:iteration_tokens_total", "Tokens computed in a step.", kStepTokens)),
        prompt_tokens(Counter("vllm:prompt_tokens_total", "Tokens of prompts.")),
        generation_tokens(Counter("vllm:generation_tokens_total", "Tokens written.")),
        cache_queries(Counter("vllm:prefix_cache_queries_total",
                              "Tokens of prompts that were looked up in the prefix cache.")),
        cache_hits(Counter("vllm:prefix_cache_hits_total", "Those that were found there.")),
        finished(prometheus::BuildCounter()
                     .Name("vllm:request_success_total")
                     .Help("Answers that have ended, by how.")
                     .Labels(labels)
                     .Register(registry)) {
    for (const char* reason : {"stop", "length", "abort", "error"}) Finished(reason);
  }

  prometheus::Histogram& Histogram(const char* name, const char* help, const Buckets& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Labels(labels).Register(registry).Add(
        {}, buckets);
  }
  prometheus::Counter& Counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Labels(labels).Register(registry).Add(
        {});
  }
  prometheus::Counter& Finished(std::string_view reason) {
    return finished.Add({{"finished_reason", std::string(reason)}});
  }

  prometheus::Registry registry;
  const Labels labels;
  prometheus::Histogram &first_token, &per_token, &between_tokens, &whole, &queue, &inference,
      &prefill, &decode, &prompt, &generation, &step;
  prometheus::Counter &prompt_tokens, &generation_tokens, &cache_queries, &cache_hits;
  prometheus::Family<prometheus::Counter>& finished;
};

ServerMetrics::ServerMetrics(const std::string& model, int64_t max_length, const Accounts& accounts)
    : accounts_(accounts), families_(std::make_unique<Families>(model, max_length)) {}
ServerMetrics::~ServerMetrics() = default;

void ServerMetrics::AddTo(WebRouter& router) {
  router.Add(
      "GET", "/metrics",
      [this](const WebRequest&) {
        return WebResponse{.type = "text/plain; version=0.0.4; charset=utf-8", .body = Text()};
      },
      WebAccess::kAdmin);
}

void ServerMetrics::OnAnswered(const WebRecord& record) {
  const std::lock_guard lock(mutex_);
  ++answered_[{RouteOf(record.path), record.status}];
}

void ServerMetrics::OnStep(const Engine& engine) {
  Snapshot snapshot{.running = engine.scheduler().running(),
                    .waiting = engine.scheduler().waiting(),
                    .pages = engine.cache().pages(),
                    .free_pages = engine.cache().pool().free(),
                    .kept_pages = engine.cache().tree().evictable(),
                    .page_tokens = engine.cache().page_tokens(),
                    .statistics = engine.statistics(),
                    .expert_load = engine.expert_load()};
  const std::lock_guard lock(mutex_);
  const int64_t computed =
      snapshot.statistics.computed_tokens - snapshot_.statistics.computed_tokens;
  if (computed > 0) families_->step.Observe(static_cast<double>(computed));
  snapshot_ = std::move(snapshot);
}

void ServerMetrics::CountPrompt(const RequestUsage& usage) {
  families_->prompt_tokens.Increment(static_cast<double>(usage.prompt_tokens));
  families_->cache_queries.Increment(static_cast<double>(usage.prompt_tokens));
  families_->cache_hits.Increment(static_cast<double>(usage.cached_tokens));
}

void ServerMetrics::OnToken(const EngineEvent& event, Seconds since_last) {
  families_->generation_tokens.Increment();
  if (event.usage.answer_tokens == 1) {
    CountPrompt(event.usage);
    families_->first_token.Observe(since_last.count());
  } else {
    families_->per_token.Observe(since_last.count());
    families_->between_tokens.Observe(since_last.count());
  }
}

void ServerMetrics::OnEnd(const RequestUsage& usage, std::string_view reason,
                          Seconds since_arrival) {
  families_->Finished(reason).Increment();
  if (usage.prompt_tokens == 0) return;  // nothing of it was computed
  if (usage.answer_tokens == 0) {
    CountPrompt(usage);  // it was only scored
  } else {
    families_->prefill.Observe(usage.first_token_seconds - usage.queue_seconds);
    families_->decode.Observe(since_arrival.count() - usage.first_token_seconds);
  }
  families_->whole.Observe(since_arrival.count());
  families_->queue.Observe(usage.queue_seconds);
  families_->inference.Observe(since_arrival.count() - usage.queue_seconds);
  families_->prompt.Observe(static_cast<double>(usage.prompt_tokens));
  families_->generation.Observe(static_cast<double>(usage.answer_tokens));
}

std::string ServerMetrics::Text() const {
  std::vector<MetricFamily> families = families_->registry.Collect();
  const auto add = [&](MetricType type, const char* name, const char* help, auto... value) {
    Family family(type, name, help, families_->labels);
    if constexpr (sizeof...(value) > 0) family.Add(static_cast<double>(value)...);
    return family;
  };
  const auto gauge = [&](const char* name, const char* help, auto value) {
    families.push_back(add(MetricType::Gauge, name, help, value).Take());
  };
  const auto counter = [&](const char* name, const char* help, auto value) {
    families.push_back(add(MetricType::Counter, name, help, value).Take());
  };
  const std::lock_guard lock(mutex_);
  const Engine::Statistics& statistics = snapshot_.statistics;
  const int64_t used = snapshot_.pages - snapshot_.free_pages - snapshot_.kept_pages;
  const double usage =
      snapshot_.pages == 0 ? 0 : static_cast<double>(used) / static_cast<double>(snapshot_.pages);
  gauge("vllm:num_requests_running", "Answers that are being written.", snapshot_.running);
  gauge("vllm:num_requests_waiting", "Answers that wait for their turn.", snapshot_.waiting);
  gauge("vllm:kv_cache_usage_perc", "Of the cache, what requests under way hold; 1: all of it.",
        usage);
  gauge("vllm:gpu_cache_usage_perc", "The same, under the name that older dashboards know.", usage);
  counter("vllm:num_preemptions_total", "Answers that lost their pages to others.",
          statistics.preemptions);
  counter("vllm:spec_decode_num_drafts_total", "Steps of an answer with tokens guessed ahead.",
          statistics.guessed.empty() ? 0 : statistics.guessed[0]);
  counter("vllm:spec_decode_num_draft_tokens_total", "Tokens guessed ahead.",
          Sum(statistics.guessed));
  counter("vllm:spec_decode_num_accepted_tokens_total", "Of these, those that held.",
          Sum(statistics.accepted));
  Family accepted = add(MetricType::Counter, "vllm:spec_decode_num_accepted_tokens_per_pos_total",
                        "Guessed tokens that held, by their place among a step's guesses.");
  Family guessed = add(MetricType::Counter, "fathom_draft_tokens_per_position_total",
                       "Tokens guessed ahead, by their place among a step's guesses.");
  for (size_t i = 0; i < statistics.guessed.size(); ++i) {
    const Labels position = {{"position", std::to_string(i)}};
    accepted.Add(static_cast<double>(statistics.accepted[i]), position);
    guessed.Add(static_cast<double>(statistics.guessed[i]), position);
  }
  families.push_back(accepted.Take());
  families.push_back(guessed.Take());
  Family pages = add(MetricType::Gauge, "fathom_cache_pages",
                     "Pages of the latent cache: held by requests, kept for later ones, free.");
  pages.Add(static_cast<double>(used), {{"state", "held"}});
  pages.Add(static_cast<double>(snapshot_.kept_pages), {{"state", "kept"}});
  pages.Add(static_cast<double>(snapshot_.free_pages), {{"state", "free"}});
  families.push_back(pages.Take());
  gauge("fathom_cache_page_tokens", "Tokens that a page holds.", snapshot_.page_tokens);
  counter("fathom_engine_steps_total", "Batches computed.", statistics.steps);
  counter("fathom_engine_computed_tokens_total", "Rows computed, those of preempted answers again.",
          statistics.computed_tokens);
  Family experts = add(MetricType::Counter, "fathom_expert_tokens_total",
                       "Rows that a routed expert got, by layer.");
  const auto& expert_tokens = snapshot_.expert_load.tokens;
  for (size_t layer = 0; layer < expert_tokens.size(); ++layer) {
    for (size_t expert = 0; expert < expert_tokens[layer].size(); ++expert) {
      experts.Add(static_cast<double>(expert_tokens[layer][expert]),
                  {{"layer", std::to_string(layer)}, {"expert", std::to_string(expert)}});
    }
  }
  families.push_back(experts.Take());
  Family requests = add(MetricType::Counter, "fathom_http_requests_total",
                        "Answered HTTP requests, by route and status.");
  for (const auto& [route, count] : answered_) {
    requests.Add(static_cast<double>(count),
                 {{"route", route.first}, {"status", std::to_string(route.second)}});
  }
  families.push_back(requests.Take());
  gauge("fathom_keys_usable", "Keys that open something now.", accounts_.keys().usable());
  if (accounts_.ledger() != nullptr) {
    const Ledger::Statistics ledger = accounts_.ledger()->statistics();
    counter("fathom_ledger_commits_total", "Commits of the ledger.", ledger.commits);
    counter("fathom_ledger_changes_total", "Reservations, marks and settlements in these.",
            ledger.rows);
    counter("fathom_ledger_commit_seconds_total", "Time that these took.", ledger.commit_seconds);
    gauge("fathom_ledger_open_requests", "Requests that are reserved and not settled.",
          ledger.open);
    gauge("fathom_ledger_failing", "1 while the ledger cannot be written.", ledger.failing ? 1 : 0);
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return text.str();
}

}  // namespace fathom
