#include "cli/plan.h"

#include <cctype>
#include <memory>
#include <string>

#include "base/file.h"
#include "cli/common.h"
#include "cli/plan_calibrate.h"
#include "cli/plan_page.h"
#include "plan/html_report.h"
#include "plan/options.h"
#include "plan/run.h"

namespace fathom {
namespace {

// What was typed, in the order of the table.
struct Typed {
  explicit Typed(const PlanCommand& command)
      : texts(command.options.size()), flags(std::make_unique<bool[]>(command.options.size())) {}

  std::vector<std::string> texts;
  std::unique_ptr<bool[]> flags;
  std::string html, drivers;
  bool json = false, csv = false;
};

std::string HelpOf(const PlanOption& option) {
  std::string help = option.help;
  // Most phrases begin with what is counted.
  std::string lower = help;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const bool said = lower.find(option.unit) != std::string::npos;
  if (option.unit != "1" && !said) help += " (" + option.unit + ")";
  if (option.kind == PlanOption::Kind::kChoice || option.kind == PlanOption::Kind::kName) {
    help += ":";
    for (const std::string& choice : option.choices) help += " " + choice;
  }
  if (!option.fallback.empty()) help += " [" + option.fallback + "]";
  return help;
}

// What stands for the value in the help.
const char* TypeOf(const PlanOption& option) {
  switch (option.kind) {
    case PlanOption::Kind::kNumber:
      return "NUMBER";
    case PlanOption::Kind::kInteger:
      return "N";
    case PlanOption::Kind::kFile:
      return "FILE";
    case PlanOption::Kind::kText:
      return "TEXT";
    case PlanOption::Kind::kFlag:
    case PlanOption::Kind::kModel:
      return "";
    case PlanOption::Kind::kChoice:
    case PlanOption::Kind::kName:
      return "NAME";
  }
  return "";
}

void Add(const PlanCommand& table, CLI::App& plan) {
  CLI::App* command = plan.add_subcommand(table.name, table.help);
  command->footer("Example: " + table.example);
  const auto typed = std::make_shared<Typed>(table);
  for (size_t i = 0; i < table.options.size(); ++i) {
    const PlanOption& option = table.options[i];
    const std::string name = "--" + option.name;
    CLI::Option* added = option.kind == PlanOption::Kind::kFlag
                             ? command->add_flag(name, typed->flags[i], option.help)
                             : command->add_option(option.positional ? "MODEL" : name,
                                                   typed->texts[i], HelpOf(option));
    if (option.kind != PlanOption::Kind::kFlag) added->type_name(TypeOf(option));
    if (!option.group.empty()) added->group(option.group);
  }
  const char* output = "Output";
  command->add_flag("--json", typed->json, "Print the result as JSON")->group(output);
  command->add_flag("--csv", typed->csv, "Print the result as CSV")
      ->excludes("--json")
      ->group(output);
  command
      ->add_option("--html", typed->html,
                   "Write the report with charts to this file, which needs nothing else")
      ->type_name("FILE")
      ->group(output);
  command
      ->add_option("--drivers", typed->drivers,
                   "Print what drives the row of this key too (--json has the keys), or `all`")
      ->type_name("KEY")
      ->group(output);
  command->callback([typed, &table] {
    PlanOptions options(table);
    for (size_t i = 0; i < table.options.size(); ++i) {
      if (typed->flags[i]) options.Set(table.options[i].name, "true");
      if (!typed->texts[i].empty()) options.Set(table.options[i].name, typed->texts[i]);
    }
    const Report report = RunPlan(options);
    if (!typed->html.empty()) {
      WriteFileAtomically(typed->html, ReportHtml(report, CommandLine(options)));
    }
    WriteStandardOutput(typed->json  ? report.ToJson()
                        : typed->csv ? report.ToCsv()
                                     : report.ToTable(OutputWidth(), typed->drivers));
  });
}

}  // namespace

void AddPlanCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("plan", "What training and serving a model cost.");
  command->footer("Example: fathom plan train v3; fathom plan serve v3 --json");
  command->require_subcommand(1);
  for (const PlanCommand& table : PlanCommands()) Add(table, *command);
  AddPlanPageCommand(*command);
  AddPlanCalibrate(*command);
}

}  // namespace fathom
