#include "posttrain/r1/pipeline_config.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"
#include "posttrain/answers/answer_extraction.h"
#include "train/config_fields.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;

// Of a stage's table, which is the configuration of that command.
constexpr std::string_view kKinds[] = {"sft", "reward", "rl", "distill"};
// Where the pipeline keeps what it measures; no stage can be called so.
constexpr std::string_view kEvaluation = "evaluation";

template <typename Config, typename Fields>
void Describe(Config& config, Fields& fields) {
  fields.Field("output", config.output);
  fields.Field("seed", config.seed, 0);
  fields.Section(kEvaluation, [&](auto& section) {
    auto& evaluation = config.evaluation;
    section.Field("tasks", evaluation.tasks);
    section.Field("limit", evaluation.limit, 0);
    section.Field("samples", evaluation.samples, 1, 100'000);
    section.Field("max_tokens", evaluation.max_tokens, 1, 1 << 24);
    section.Field("at_a_time", evaluation.at_a_time, 1, 4096);
    section.Field("temperature", evaluation.temperature, 0, 100);
    section.Field("top_p", evaluation.top_p, 1e-6, 1);
    section.Field("system", evaluation.system);
    section.Field("instruction", evaluation.instruction);
    section.Field("think", evaluation.think, {"model", "on", "off"});
    section.Field("extract", evaluation.extract);
    section.Field("start", evaluation.start, {"chat", "plain", "none"});
    section.Field("shots", evaluation.shots, 0, 1000);
    section.Field("examples", evaluation.examples);
  });
}

bool IsName(std::string_view name) {
  return !name.empty() && name != kEvaluation &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

// Puts paths in place of references.
class References {
 public:
  References(const PipelineConfig& config, std::string_view where)
      : config_(config), where_(where) {}

  void Resolve(toml::node& node, const std::string& key) const {
    if (toml::table* table = node.as_table()) {
      for (auto&& [name, value] : *table)
        Resolve(value,
                key.empty() ? std::string(name.str()) : fmt::format("{}.{}", key, name.str()));
    } else if (toml::array* array = node.as_array()) {
      for (size_t i = 0; i < array->size(); ++i)
        Resolve((*array)[i], fmt::format("{}[{}]", key, i));
    } else if (toml::value<std::string>* text = node.as_string()) {
      if (text->get().starts_with('@')) *text = PathOf(text->get(), key);
    }
  }

 private:
  std::string PathOf(const std::string& reference, const std::string& key) const {
    const size_t slash = reference.find('/');
    const std::string name = reference.substr(1, slash == std::string::npos ? slash : slash - 1);
    const auto fail = [&](std::string_view what, std::string_view hint) {
      throw Error(where_, fmt::format("{} is '{}', and {}", key, reference, what), hint);
    };
    const PipelineStage* stage = config_.Find(name);
    if (stage == nullptr) {
      std::set<std::string, std::less<>> names;
      for (const PipelineStage& earlier : config_.stages) names.insert(earlier.name);
      fail(fmt::format("no earlier stage is called '{}'", name),
           NearestHint(name, names, "stages can have what those before them made"));
    }
    if (slash != std::string::npos)
      return fs::absolute(stage->output() / reference.substr(slash + 1)).string();
    if (stage->makes().empty()) {
      fail("that stage makes no model",
           fmt::format("its data is '@{}/sft.jsonl'; or give it a student", name));
    }
    if (stage->makes_adapter()) {
      fail("that stage makes adapters, not a model",
           fmt::format("leave lora out of stage '{}'", name));
    }
    return fs::absolute(stage->makes()).string();
  }

  const PipelineConfig& config_;
  std::string_view where_;
};

PipelineStage ReadStage(toml::table run, std::string_view kind, std::string name,
                        const PipelineConfig& config, std::string_view where,
                        const fs::path& base) {
  if (run.contains("output")) throw Error(where, "output is the pipeline's own", "leave it out");
  References(config, where).Resolve(run, "");
  run.insert("output", fs::absolute(config.output / name).string());
  if (!run.contains("seed")) run.insert("seed", static_cast<int64_t>(config.seed));
  PipelineStage stage{.name = std::move(name), .run = {}};
  if (kind == "sft") {
    stage.run = SftConfig::Read(run, where, base, "");
  } else if (kind == "reward") {
    stage.run = RewardConfig::Read(run, where, base);
  } else if (kind == "rl") {
    stage.run = GrpoConfig::Read(run, where, base);
  } else {
    stage.run = DistillConfig::Read(run, where, base);
  }
  const PipelineStage* before = config.MakerOf(stage.begins_with());
  if (before != nullptr && before->makes_reward_model() && !stage.makes_reward_model()) {
    throw Error(where,
                fmt::format("begins with what stage '{}' made, which scores texts and "
                            "writes none",
                            before->name),
                "a reward model is for reward.model of an [stage.rl]");
  }
  return stage;
}

void ReadStages(const toml::table& table, std::string_view where, const fs::path& base,
                PipelineConfig& config) {
  std::vector<TomlTable> stages = TomlTable(&table, std::string(where)).Tables("stage");
  if (stages.empty()) {
    throw Error(where, "there is no [[stage]]",
                "give at least one, for example [[stage]] name = \"cold-start\" and "
                "[stage.sft] with what an sft.toml would say");
  }
  for (size_t i = 0; i < stages.size(); ++i) {
    stages[i].Require("name");
    const std::string name = stages[i].String("name", "");
    if (!IsName(name)) {
      throw Error(stages[i].PathOf("name"), fmt::format("'{}' is no name of a stage", name),
                  "small letters, digits, '-' and '_'; it is a directory's, too");
    }
    const std::string here = fmt::format("{}: stage '{}'", where, name);
    if (config.Find(name) != nullptr) throw Error(here, "comes twice", "give each its own name");
    std::string_view kind;
    for (const std::string_view known : kKinds) {
      if (!stages[i].Has(known)) continue;
      if (!kind.empty()) throw Error(here, fmt::format("is both {} and {}", kind, known));
      kind = known;
    }
    if (kind.empty()) {
      throw Error(here, "does not say what it does",
                  fmt::format("give it one table of {}", fmt::join(kKinds, ", ")));
    }
    stages[i].Finish();
    const toml::table* run = (*table["stage"].as_array())[i].as_table()->get_as<toml::table>(kind);
    if (run == nullptr)
      throw Error(here, fmt::format("{} is no table", kind), fmt::format("[stage.{}]", kind));
    config.stages.push_back(ReadStage(*run, kind, name, config, here, base));
  }
}

}  // namespace

std::string_view PipelineStage::kind() const { return kKinds[run.index()]; }

const fs::path& PipelineStage::output() const {
  return std::visit([](const auto& config) -> const fs::path& { return config.output; }, run);
}

const fs::path& PipelineStage::begins_with() const {
  static const fs::path kNone;
  if (const auto* sft = std::get_if<SftConfig>(&run)) return sft->model.init_from;
  if (const auto* reward = std::get_if<RewardConfig>(&run)) return reward->model.init_from;
  if (const auto* rl = std::get_if<GrpoConfig>(&run)) return rl->model.init_from;
  const auto& distill = std::get<DistillConfig>(run);
  return distill.student ? distill.student->model.init_from : kNone;
}

bool PipelineStage::makes_adapter() const {
  if (const auto* sft = std::get_if<SftConfig>(&run)) return sft->lora.enabled();
  if (makes_reward_model()) return false;
  if (const auto* rl = std::get_if<GrpoConfig>(&run)) return rl->lora.enabled();
  const auto& distill = std::get<DistillConfig>(run);
  return distill.student && distill.student->lora.enabled();
}

fs::path PipelineStage::makes() const {
  const auto* distill = std::get_if<DistillConfig>(&run);
  if (distill != nullptr && !distill->student) return {};
  return (distill != nullptr ? distill->student->output : output()) /
         (makes_adapter() ? "adapter" : "model");
}

std::vector<fs::path> PipelineStage::inputs() const {
  std::vector<fs::path> paths = {begins_with()};
  const auto add = [&paths](const auto& sources) {
    for (const auto& source : sources) paths.push_back(source.path);
  };
  if (const auto* sft = std::get_if<SftConfig>(&run)) {
    add(sft->data.sources);
    paths.push_back(sft->soft_targets.teacher);
  } else if (const auto* reward = std::get_if<RewardConfig>(&run)) {
    add(reward->data.sources);
  } else if (const auto* rl = std::get_if<GrpoConfig>(&run)) {
    add(rl->data.sources);
    add(rl->reward.models);
    paths.push_back(rl->data.held_out);
  } else {
    const auto& distill = std::get<DistillConfig>(run);
    add(distill.sources);
    add(distill.evaluation.sources);
    if (!distill.teacher.is_endpoint()) paths.emplace_back(distill.teacher.model);
  }
  std::erase_if(paths, [](const fs::path& path) { return path.empty(); });
  return paths;
}

std::string PipelineStage::ToToml() const {
  return std::visit([](const auto& config) { return config.ToToml(); }, run);
}

const PipelineStage* PipelineConfig::Find(std::string_view name) const {
  const auto found = std::find_if(stages.begin(), stages.end(),
                                  [&](const PipelineStage& stage) { return stage.name == name; });
  return found == stages.end() ? nullptr : &*found;
}

const PipelineStage* PipelineConfig::MakerOf(const fs::path& model) const {
  const auto found = std::find_if(stages.begin(), stages.end(), [&](const PipelineStage& stage) {
    return !stage.makes().empty() && stage.makes() == model;
  });
  return found == stages.end() ? nullptr : &*found;
}

PipelineConfig PipelineConfig::Load(const fs::path& path,
                                    const std::vector<std::string>& overrides) {
  return Parse(ReadFile(path), path.string(), path.parent_path(), overrides);
}

PipelineConfig PipelineConfig::Parse(std::string_view text, std::string_view where,
                                     const fs::path& base,
                                     const std::vector<std::string>& overrides) {
  const toml::table table = ParseToml(text, where, overrides);
  TomlTable known(&table, std::string(where));
  known.Has("stage");
  FieldReader root(std::move(known), base);
  PipelineConfig config;
  Describe(config, root);
  root.Finish();
  if (config.output.empty()) {
    throw Error(where, "output is missing",
                "the pipeline's directory, for example output = \"runs/r1\"");
  }
  config.output = fs::absolute(config.output).lexically_normal();
  ParseAnswerRules(config.evaluation.extract, fmt::format("{}: evaluation.extract", where));
  for (std::string& task : config.evaluation.tasks) {
    if (fs::exists(base / task)) task = (base / task).lexically_normal().string();
  }
  ReadStages(table, where, base, config);
  return config;
}

}  // namespace fathom
