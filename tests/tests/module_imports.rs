//! No function of the C ABI can reach an import: shown on the module's own call graph.

use std::collections::{BTreeMap, BTreeSet};

use stream_processor_tests::module;
use wasmparser::{ElementItems, ExternalKind, Operator, Parser, Payload, TypeRef};

/// Who calls whom in a module. Functions are numbered as in the module: imports first.
#[derive(Default)]
struct CallGraph {
    imports: Vec<String>,
    exports: BTreeMap<String, u32>,
    /// The type of each function.
    types: Vec<u32>,
    /// Functions that a table holds: what an indirect call may reach, if the type fits.
    in_tables: BTreeSet<u32>,
    calls: BTreeMap<u32, BTreeSet<u32>>,
    /// The types of each function's indirect calls.
    indirect: BTreeMap<u32, BTreeSet<u32>>,
}

impl CallGraph {
    fn of(module: &[u8]) -> Self {
        let mut graph = Self::default();
        let mut next_body = 0;
        for payload in Parser::new(0).parse_all(module) {
            match payload.expect("a valid module") {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.expect("an import");
                        if let TypeRef::Func(kind) = import.ty {
                            graph.imports.push(format!("{}.{}", import.module, import.name));
                            graph.types.push(kind);
                        }
                    }
                    next_body = u32::try_from(graph.imports.len()).unwrap();
                }
                Payload::FunctionSection(section) => {
                    graph.types.extend(section.into_iter().map(|kind| kind.expect("a function")));
                }
                Payload::ExportSection(section) => {
                    for export in section.into_iter().map(|export| export.expect("an export")) {
                        if export.kind == ExternalKind::Func {
                            graph.exports.insert(export.name.to_owned(), export.index);
                        }
                    }
                }
                Payload::ElementSection(section) => {
                    for element in section.into_iter().map(|element| element.expect("an element")) {
                        graph.add_element(element.items);
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    graph.add_body(next_body, &body);
                    next_body += 1;
                }
                _ => {}
            }
        }
        graph
    }

    fn add_element(&mut self, items: ElementItems<'_>) {
        match items {
            ElementItems::Functions(functions) => {
                self.in_tables.extend(functions.into_iter().map(|function| function.unwrap()));
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    for operator in expression.unwrap().get_operators_reader() {
                        if let Operator::RefFunc { function_index } = operator.unwrap() {
                            self.in_tables.insert(function_index);
                        }
                    }
                }
            }
        }
    }

    fn add_body(&mut self, function: u32, body: &wasmparser::FunctionBody<'_>) {
        let (calls, indirect) =
            (self.calls.entry(function).or_default(), self.indirect.entry(function).or_default());
        for operator in body.get_operators_reader().unwrap() {
            match operator.unwrap() {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    calls.insert(function_index);
                }
                Operator::CallIndirect { type_index, .. }
                | Operator::ReturnCallIndirect { type_index, .. } => {
                    indirect.insert(type_index);
                }
                Operator::RefFunc { function_index } => {
                    self.in_tables.insert(function_index);
                }
                _ => {}
            }
        }
    }

    /// A way from `from` to an import, if there is one.
    fn way_to_an_import(&self, from: u32) -> Option<Vec<u32>> {
        let mut came_from: BTreeMap<u32, u32> = BTreeMap::new();
        let mut open = vec![from];
        while let Some(function) = open.pop() {
            if (function as usize) < self.imports.len() {
                let mut way = vec![function];
                while let Some(before) =
                    came_from.get(way.last()?).filter(|_| way.last() != Some(&from))
                {
                    way.push(*before);
                }
                way.reverse();
                return Some(way);
            }
            let direct = self.calls.get(&function).into_iter().flatten().copied();
            let types = self.indirect.get(&function);
            let fits = |target: &u32| {
                types.is_some_and(|types| types.contains(&self.types[*target as usize]))
            };
            let indirect = self.in_tables.iter().copied().filter(fits);
            for next in direct.chain(indirect) {
                if next != from && !came_from.contains_key(&next) {
                    came_from.insert(next, function);
                    open.push(next);
                }
            }
        }
        None
    }
}

#[test]
fn no_path_of_the_c_abi_reaches_an_import() {
    let graph = CallGraph::of(&module());
    assert!(!graph.imports.is_empty(), "the classes for JavaScript import something");
    let doors: Vec<(&String, &u32)> =
        graph.exports.iter().filter(|(name, _)| name.starts_with("sp_")).collect();
    assert!(doors.len() >= 18, "{doors:?}");
    for (name, function) in doors {
        if let Some(way) = graph.way_to_an_import(*function) {
            let import = &graph.imports[*way.last().unwrap() as usize];
            panic!("{name} reaches the import {import} by way of functions {way:?}");
        }
    }
    let class = graph.exports.iter().find(|(name, _)| name.contains("_push_text"));
    let (_, class) = class.expect("a method for JavaScript");
    assert!(
        graph.way_to_an_import(*class).is_some(),
        "the search finds imports where they are called"
    );
}

#[test]
fn the_module_imports_only_what_the_glue_gives() {
    for import in CallGraph::of(&module()).imports {
        assert!(import.contains("__wbg") || import.contains("__wbindgen"), "{import}");
    }
}
